/* lib/hcl/lex.h - HCL text to tokens; for lib/hcl/parse.c alone.
 *
 * Owner:   token texts live in the tree's arena.
 * Threads: one thread at a time.
 * Source:  github.com/hashicorp/hcl v1, scanner/scanner.go, token/token.go (heredocs). */
#pragma once

#include "lib/hcl/tree.h"

enum token_kind {
    TOKEN_END,
    TOKEN_NAME,
    TOKEN_STRING, /* heredocs too */
    TOKEN_NUMBER,
    TOKEN_BOOL,
    TOKEN_OPEN_BODY,
    TOKEN_CLOSE_BODY,
    TOKEN_OPEN_LIST,
    TOKEN_CLOSE_LIST,
    TOKEN_ASSIGN,
    TOKEN_COMMA,
};
struct token {
    enum token_kind kind;
    struct kt_hcl_pos pos;
    const char *text; /* NAME, STRING (decoded), NUMBER, BOOL; else NULL */
};
struct lexer {
    struct hcl_tree *tree;
    const unsigned char *at, *end;
};

enum kt_kind kt_hcl_lex_next(struct lexer *lexer, struct token *ret) KT_MUST_CHECK;
