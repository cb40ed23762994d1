"""The large vault that several subjects measure: filled once a run, in a temporary folder."""
import atexit

from common import QUICK, Vault, bench_policy, fill

SECRETS = 50000 if QUICK else 1000000
SCHEDULES = 50000 if QUICK else 1000000
TOKENS = 10000 if QUICK else 100000
CHILDREN = 100000
_made = []


def vault():
    """SECRETS at secret/app/F/I (1,000 in each folder), all of them with a schedule, TOKENS, and
    CHILDREN of secret/many/. The attribute tokens is the file of the tokens' texts."""
    if not _made:
        big = Vault(config="limits { max_connections_per_ip = 0 }")
        atexit.register(big.remove)
        big.ready()
        bench_policy(big)
        big.tokens, said = fill(big, secrets=SECRETS, schedules=SCHEDULES, tokens=TOKENS,
                                children=CHILDREN)
        with open(big.tokens) as f:
            big.client = f.readline().strip()
        print("(a vault of %d secrets, %d schedules, %d tokens was made in %.0f s)" % (
            SECRETS + CHILDREN, SCHEDULES, TOKENS, said["seconds"]), flush=True)
        _made.append(big)
    return _made[0]
