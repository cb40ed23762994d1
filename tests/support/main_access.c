/* The build runs this: are entries (access.h) and rows of one mind? */
#include "tests/support/access.h"

int main(void)
{
    return access_compare(stderr) == 0 ? 0 : 1;
}
