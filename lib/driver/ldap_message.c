/* lib/driver/ldap_message.c - see lib/driver/ldap_message.h. */
#include "lib/driver/ldap_message.h"

#define VERSION     3
#define POLICY_OID  "1.3.6.1.4.1.42.2.27.8.5.1"
#define TLS_OID     "1.3.6.1.4.1.1466.20037"
#define BASE_OBJECT 0
#define NO_ALIASES  0
#define ONE_ENTRY   1
#define SECONDS     30

enum {
    BIND = 0x60,
    UNBIND = 0x42,
    SEARCH = 0x63,
    MODIFY = 0x66,
    EXTEND = 0x77,
    SIMPLE = 0x80,       /* of a bind: the password */
    REQUEST_NAME = 0x80, /* of an extended request */
    PRESENT = 0x87,      /* of a filter */
    CONTROLS = 0xa0,
    POLICY_WARNING = 0xa0,
    POLICY_GRACE = 0x81, /* of a warning */
    POLICY_ERROR = 0x81,
};

/* ---- requests ------------------------------------------------------------------------------ */

static size_t begin(int32_t id, struct kt_buf *out)
{
    size_t message = kt_ber_begin(out, BER_SEQUENCE);
    kt_ber_add_int(out, BER_INTEGER, id);
    return message;
}

static void add_text(struct kt_buf *out, const char *text)
{
    kt_ber_add(out, BER_OCTETS, kt_str(text));
}

void kt_ldap_bind(int32_t id, const char *dn, struct kt_bytes password, struct kt_buf *out)
{
    size_t message = begin(id, out);
    size_t bind = kt_ber_begin(out, BIND);
    kt_ber_add_int(out, BER_INTEGER, VERSION);
    add_text(out, dn);
    kt_ber_add(out, SIMPLE, password);
    kt_ber_end(out, bind);
    size_t controls = kt_ber_begin(out, CONTROLS);
    size_t control = kt_ber_begin(out, BER_SEQUENCE);
    add_text(out, POLICY_OID); /* not critical: a server without policies passes it over */
    kt_ber_end(out, control);
    kt_ber_end(out, controls);
    kt_ber_end(out, message);
}

void kt_ldap_unbind(int32_t id, struct kt_buf *out)
{
    size_t message = begin(id, out);
    kt_ber_add(out, UNBIND, kt_bytes(NULL, 0));
    kt_ber_end(out, message);
}

void kt_ldap_start_tls(int32_t id, struct kt_buf *out)
{
    size_t message = begin(id, out);
    size_t extend = kt_ber_begin(out, EXTEND);
    kt_ber_add(out, REQUEST_NAME, kt_str(TLS_OID));
    kt_ber_end(out, extend);
    kt_ber_end(out, message);
}

void kt_ldap_modify(int32_t id, const char *dn, enum ldap_change change, const char *attribute,
                    const struct kt_bytes *value, struct kt_buf *out)
{
    size_t message = begin(id, out);
    size_t modify = kt_ber_begin(out, MODIFY);
    add_text(out, dn);
    size_t changes = kt_ber_begin(out, BER_SEQUENCE);
    size_t one = kt_ber_begin(out, BER_SEQUENCE);
    kt_ber_add_int(out, BER_ENUMERATED, (int32_t)change);
    size_t what = kt_ber_begin(out, BER_SEQUENCE);
    add_text(out, attribute);
    size_t values = kt_ber_begin(out, BER_SET);
    if (value != NULL)
        kt_ber_add(out, BER_OCTETS, *value);
    kt_ber_end(out, values);
    kt_ber_end(out, what);
    kt_ber_end(out, one);
    kt_ber_end(out, changes);
    kt_ber_end(out, modify);
    kt_ber_end(out, message);
}

void kt_ldap_read(int32_t id, const char *dn, size_t n, const char *const *attributes,
                  struct kt_buf *out)
{
    static const unsigned char no = 0;
    size_t message = begin(id, out);
    size_t search = kt_ber_begin(out, SEARCH);
    add_text(out, dn);
    kt_ber_add_int(out, BER_ENUMERATED, BASE_OBJECT);
    kt_ber_add_int(out, BER_ENUMERATED, NO_ALIASES);
    kt_ber_add_int(out, BER_INTEGER, ONE_ENTRY);
    kt_ber_add_int(out, BER_INTEGER, SECONDS);
    kt_ber_add(out, BER_BOOLEAN, kt_bytes(&no, 1));
    kt_ber_add(out, PRESENT, kt_str("objectClass"));
    size_t names = kt_ber_begin(out, BER_SEQUENCE);
    for (size_t i = 0; i < n; i++)
        add_text(out, attributes[i]);
    kt_ber_end(out, names);
    kt_ber_end(out, search);
    kt_ber_end(out, message);
}

/* ---- answers ------------------------------------------------------------------------------- */

static bool read_result(struct kt_bytes body, struct ldap_answer *ret)
{
    struct kt_bytes matched;
    return kt_ber_take_int(&body, BER_ENUMERATED, &ret->result) &&
           kt_ber_take(&body, BER_OCTETS, &matched) && kt_ber_take(&body, BER_OCTETS, &ret->text);
}

static bool read_op(const struct ber *op, struct ldap_answer *ret)
{
    struct kt_bytes body = op->body, name;
    switch (op->tag) {
    case LDAP_BOUND:
    case LDAP_READ:
    case LDAP_MODIFIED:
    case LDAP_EXTENDED:
        return read_result(body, ret);
    case LDAP_ENTRY:
        return kt_ber_take(&body, BER_OCTETS, &name) &&
               kt_ber_take(&body, BER_SEQUENCE, &ret->attributes);
    default:
        return true;
    }
}

/* SEQUENCE { warning [0] CHOICE { time [0], grace [1] } OPTIONAL, error [1] OPTIONAL } */
static void read_policy(struct kt_bytes value, struct ldap_answer *ret)
{
    struct kt_bytes body;
    struct ber element;
    if (!kt_ber_take(&value, BER_SEQUENCE, &body))
        return;
    while (body.len > 0) {
        if (kt_ber_take_int(&body, POLICY_ERROR, &ret->policy))
            return;
        if (!kt_ber_next(&body, &element))
            return;
        if (element.tag == POLICY_WARNING)
            (void)kt_ber_take_int(&element.body, POLICY_GRACE, &ret->grace);
    }
}

static void read_controls(struct kt_bytes controls, struct ldap_answer *ret)
{
    struct kt_bytes control, oid, critical, value;
    while (kt_ber_take(&controls, BER_SEQUENCE, &control)) {
        if (!kt_ber_take(&control, BER_OCTETS, &oid) || !kt_bytes_is(oid, POLICY_OID))
            continue;
        (void)kt_ber_take(&control, BER_BOOLEAN, &critical);
        if (kt_ber_take(&control, BER_OCTETS, &value))
            read_policy(value, ret);
    }
}

bool kt_ldap_answer(struct kt_bytes message, struct ldap_answer *ret)
{
    struct kt_bytes body, controls;
    struct ber op;
    *ret = (struct ldap_answer){.policy = LDAP_POLICY_NONE, .grace = -1};
    if (!kt_ber_take(&message, BER_SEQUENCE, &body) || message.len != 0 ||
        !kt_ber_take_int(&body, BER_INTEGER, &ret->id) || !kt_ber_next(&body, &op) ||
        !read_op(&op, ret))
        return false;
    ret->op = op.tag;
    if (kt_ber_take(&body, CONTROLS, &controls))
        read_controls(controls, ret);
    return true;
}

bool kt_ldap_attribute(struct kt_bytes *rest, struct kt_bytes *ret_name, struct kt_bytes *ret_values)
{
    struct kt_bytes attribute;
    return kt_ber_take(rest, BER_SEQUENCE, &attribute) &&
           kt_ber_take(&attribute, BER_OCTETS, ret_name) &&
           kt_ber_take(&attribute, BER_SET, ret_values);
}
