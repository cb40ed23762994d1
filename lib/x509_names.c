#include "lib/x509_names.h"

#include <arpa/inet.h>

#define BETWEEN   ", \t"
#define LABEL_MAX 63u
#define DNS_MAX   253u

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_label(const char *at, size_t len)
{
    if (len == 0 || len > LABEL_MAX || at[0] == '-' || at[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_alnum(at[i]) && at[i] != '-' && at[i] != '_')
            return false;
    return true;
}

/* labels: how many there have to be. */
static bool is_dns(const char *text, unsigned labels)
{
    unsigned n = 0;
    if (strlen(text) > DNS_MAX)
        return false;
    while (true) {
        size_t len = strcspn(text, ".");
        if (!is_label(text, len))
            return false;
        n++;
        if (text[len] == '\0')
            return n >= labels;
        text += len + 1;
    }
}

static void lower(char *text)
{
    for (; *text != '\0'; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text - 'A' + 'a');
}

/* Blanks are gone already. */
static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text <= 0x20 || (unsigned char)*text >= 0x7f)
            return false;
    return true;
}

static const char *take_address(struct kt_x509_name *name)
{
    name->kind = KT_X509_ADDRESS;
    name->address_len = strchr(name->text, ':') == NULL ? 4 : 16;
    int family = name->address_len == 4 ? AF_INET : AF_INET6;
    return inet_pton(family, name->text, name->address) == 1 ? NULL : "is no address";
}

static const char *take_email(struct kt_x509_name *name)
{
    const char *at = strchr(name->text, '@');
    name->kind = KT_X509_EMAIL;
    return at == name->text || !is_dns(at + 1, 1) ? "is no mail address" : NULL;
}

static const char *take_uri(struct kt_x509_name *name)
{
    size_t scheme = strspn(name->text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");
    name->kind = KT_X509_URI;
    bool good = scheme > 0 && strncmp(name->text + scheme, "://", 3) == 0 && name->text[scheme + 3] != '\0';
    return good ? NULL : "is no URI";
}

static const char *take_dns(struct kt_x509_name *name)
{
    name->kind = KT_X509_DNS;
    lower(name->text);
    bool any = strncmp(name->text, "*.", 2) == 0;
    return is_dns(any ? name->text + 2 : name->text, any ? 2 : 1) ? NULL : "is no DNS name";
}

/* Only digits and dots: a mistyped address is no name. */
static bool looks_like_address(const char *text)
{
    return strspn(text, "0123456789.") == strlen(text) ||
           (strchr(text, ':') != NULL && strspn(text, "0123456789abcdefABCDEF:.") == strlen(text));
}

/* NULL, or what is wrong. */
static const char *take_word(struct kt_x509_name *name)
{
    if (!is_printable(name->text))
        return "has characters that are not ASCII (an international name is written as xn--...)";
    if (strstr(name->text, "://") != NULL)
        return take_uri(name);
    if (strchr(name->text, '@') != NULL)
        return take_email(name);
    return looks_like_address(name->text) ? take_address(name) : take_dns(name);
}

enum kt_kind kt_x509_names_parse(const char *text, struct kt_x509_names *ret, struct kt_err *err)
{
    ret->n = 0;
    for (text += strspn(text, BETWEEN); *text != '\0'; text += strspn(text, BETWEEN)) {
        size_t len = strcspn(text, BETWEEN);
        if (ret->n == KT_X509_NAMES_MAX)
            return kt_fail(err, KT_INVALID, "names: more than %u", KT_X509_NAMES_MAX);
        struct kt_x509_name *name = &ret->at[ret->n++];
        *name = (struct kt_x509_name){.kind = KT_X509_DNS};
        if (len >= KT_X509_NAME_MAX)
            return kt_fail(err, KT_INVALID, "names: number %u is longer than %u bytes", ret->n,
                           KT_X509_NAME_MAX - 1);
        memcpy(name->text, text, len);
        const char *wrong = take_word(name);
        if (wrong != NULL)
            return kt_fail(err, KT_INVALID, "names: number %u %s", ret->n, wrong);
        text += len;
    }
    return KT_OK;
}
