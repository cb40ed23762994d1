/* tests/support/jwt_example.h - a key set and a token of it, as texts: for tests whose rows are texts.
 *
 * The token is that of "bob" for the audience "vault" and lasts until the year 9999. The key that signed it was
 * thrown away. */
#pragma once

#define JWT_EXAMPLE_SET "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"example\",\"x\":\"GrVreEQh3hS6snmIK9UTeVf8551w5L2GkEroozCVYCs\"}]}"
#define JWT_EXAMPLE_TOKEN \
    "eyJhbGciOiJFZERTQSIsImtpZCI6ImV4YW1wbGUifQ." \
    "eyJzdWIiOiJib2IiLCJhdWQiOiJ2YXVsdCIsIm5iZiI6MSwiZXhwIjoyNTM0MDIzMDA3OTl9." \
    "H5tnu18mPP2JpaRm8xzOKXiGgRawQMMkuFwGWmig0ericdwGl3x0IJKz5uJ6UCHLXhJ2qzW4SsCEqXhvTKASCg"
