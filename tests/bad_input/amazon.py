"""Amazon's logins: regions, accounts, identities, and what AWS refuses."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from bad_input.case import HOST, Case, case
from fake_aws import AwsServer, Cloud, Machine

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT = "123456789012"
OWN = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
USER = f"arn:aws:iam::{ACCOUNT}:user/ci"
TOKEN = "ecr:GetAuthorizationToken"
BLAME = "plugin 'ecr' (ocibuild-ecr"
NO_MACHINE = {"AWS_EC2_METADATA_DISABLED": "true"}


class Amazon:
    """AWS for one check. `env` is that of a user of it, who says `LOGIN=ecr`."""

    def __init__(self, given: Case, cloud: Cloud, server: AwsServer) -> None:
        self.given = given
        self.cloud = cloud
        self.server = server
        self.env = {"LOGIN": "ecr", "AWS_ENDPOINT_URL": server.url, **NO_MACHINE, **cloud.add_user().env()}

    def registries(self, *, says: str = "", **env: str) -> list[str]:
        """The hosts that a build with these params logs in to, without needing any; `says` is said at -v."""
        said = self.given.builds("-v", ".", **self.env | env)
        assert says in said
        return sorted(found[1] for found in re.finditer(r"^login  (\S+): arn:", said, re.MULTILINE))


@contextmanager
def amazon(given: Case) -> Iterator[Amazon]:
    cloud = Cloud(given.watcher.fresh)
    with AwsServer(cloud, given.fixture("tls_authority")) as server:
        yield Amazon(given, cloud, server)


def in_region(region: str, suffix: str = "amazonaws.com") -> list[str]:
    return [f"{ACCOUNT}.dkr.ecr.{region}.{suffix}"]


@case("REGION empty / unset / blank")
def _(given: Case) -> None:
    with amazon(given) as aws:
        empty = {"REGION": "", "AWS_REGION": "us-east-2", "REGISTRIES": ACCOUNT}
        assert aws.registries(says="region us-east-2, from AWS_REGION", **empty) == in_region("us-east-2")
        blank = {"REGION": "  ", "AWS_REGION": " ", "AWS_DEFAULT_REGION": "us-west-1", "REGISTRIES": ACCOUNT}
        assert aws.registries(**blank) == in_region("us-west-1")
        says = "region eu-west-1, from the default"
        assert aws.registries(says=says, REGISTRIES=ACCOUNT) == in_region("eu-west-1")


@case("REGION bogus (`EU-WEST-1`, `eu west 1`, `bogus`)")
def _(given: Case) -> None:
    with amazon(given) as aws:
        assert aws.registries(REGION=" EU-North-1\n", REGISTRIES=ACCOUNT) == in_region("eu-north-1")
        assert aws.registries(REGION="eu-north-9", REGISTRIES=ACCOUNT) == in_region("eu-north-9")
        for bad in ("eu west 1", "eu-west-1.evil.example"):
            given.fails(2, BLAME, f"REGION: {bad!r}", **aws.env | {"REGION": bad, "REGISTRIES": ACCOUNT})


@case("cn/gov/iso/eusc REGION")
def _(given: Case) -> None:
    suffixes = {
        "cn-north-1": "amazonaws.com.cn",
        "us-iso-east-1": "c2s.ic.gov",
        "eusc-de-east-1": "amazonaws.eu",
    }
    with amazon(given) as aws:
        for region, suffix in suffixes.items():
            assert aws.registries(REGION=region, REGISTRIES=ACCOUNT) == in_region(region, suffix)


@case("REGISTRIES spaces, trailing comma, duplicates, empty")
def _(given: Case) -> None:
    with amazon(given) as aws:
        two = [f"{account}.dkr.ecr.eu-west-1.amazonaws.com" for account in ("111111111111", ACCOUNT)]
        assert aws.registries(REGISTRIES=f" {ACCOUNT} ,111111111111,,{ACCOUNT}, ") == two
        assert aws.registries(REGISTRIES=" , ", REGION="eu-west-1") == in_region("eu-west-1")


@case("REGISTRIES entry not 12 digits / leading zeros lost by YAML int (`012345678901` -> int/octal)")
def _(given: Case) -> None:
    env = {"LOGIN": "ECR", **NO_MACHINE}
    for bad in ("12345678901", "1234567890123", "１２３４５６７８９０１２"):
        given.fails(2, BLAME, "REGISTRIES", bad, "is no AWS account id", **env, REGISTRIES=bad)
    given.fails(2, "in quotes", **env, REGISTRIES="12345678901")
    given.demo.settings("auth:\n  ecr:\n    registries: [12345670123]\n")
    given.fails(2, "registries", "in quotes", **env)
    with amazon(given) as aws:  # in a file of ours the zero is not lost
        given.demo.settings("auth:\n  ecr:\n    registries: [012345670123]\n")
        assert aws.registries() == ["012345670123.dkr.ecr.eu-west-1.amazonaws.com"]


@case("> 10 registries")
def _(given: Case) -> None:
    accounts = [f"{number:012}" for number in range(12)]
    with amazon(given) as aws:
        assert len(aws.registries(REGISTRIES=",".join(accounts))) == 12
        assert [call.params for call in aws.cloud.calls if call.action == TOKEN] == [{}]


@case("look-alike host `...amazonaws.com.evil.com`")
def _(given: Case) -> None:
    with amazon(given) as aws:
        like = (f"{OWN}.evil.com", OWN.replace("amazonaws", "amaz0naws"), f"x-{OWN}")
        assert given.answers(*like, **aws.env) == ["anonymous"] * len(like)
        assert aws.cloud.count(TOKEN) == 0
        assert given.answer(OWN, **aws.env) == "AWS"


@case("ECR Public with other region")
def _(given: Case) -> None:
    with amazon(given) as aws:
        env = {"REGION": "sa-east-1", "REGISTRIES": f"public.ecr.aws,{ACCOUNT}"}
        assert aws.registries(**env) == [*in_region("sa-east-1"), "public.ecr.aws"]
        asked = {(call.action, call.region) for call in aws.cloud.calls if call.action.endswith("AuthorizationToken")}
        assert asked == {("ecr-public:GetAuthorizationToken", "us-east-1"), (TOKEN, "sa-east-1")}


@case("public.ecr.aws in FROM without permission")
def _(given: Case) -> None:
    public = "public.ecr.aws"
    with amazon(given) as aws:
        denied: tuple[tuple[dict[str, str], str], ...] = (
            ({}, "sts:GetServiceBearerToken"),
            ({"LOGIN": ""}, "ecr-public:GetAuthorizationToken"),
        )
        for login, action in denied:
            aws.cloud.deny(USER, action)
            assert given.answer(public, **aws.env | login) == "anonymous"
        ended = given.demo.helper("get", question=public, **aws.env)
        assert (ended.returncode, ended.stdout) == (1, "credentials not found in native keychain\n"), ended
        assert aws.cloud.count("ecr-public:GetAuthorizationToken") == 3
        told = given.fails_to_pull(".", host=public, HTTPS_PROXY="http://127.0.0.1:1", **aws.env)
        assert "warning" not in told
    # Nor does it need credentials.
    own = "no AWS credentials for the caller's own registry"
    for login, says in (({"LOGIN": "ecr"}, own), ({}, "")):
        assert given.answer(public, says=says, **login, **NO_MACHINE) == "anonymous"
        ended = given.demo.helper("get", question=public, **login, **NO_MACHINE)
        assert (ended.returncode, ended.stdout) == (1, "credentials not found in native keychain\n"), ended
    told = given.fails_to_pull(".", host=public, HTTPS_PROXY="http://127.0.0.1:1", LOGIN="ecr", **NO_MACHINE)
    assert told.count("warning: plugin 'ecr'") == 1
    assert own in told
    # A registry of the account's is another matter, also beside it.
    both = f"FROM {public}/a/b\nCOPY --from={OWN}/c / /\n"
    ended = given.build(dockerfile=both, LOGIN="ecr", **NO_MACHINE)
    assert (ended.returncode, f"no AWS credentials for {OWN}" in ended.stderr, ended.stdout) == (3, True, ""), ended


@case("no AWS credentials")
def _(given: Case) -> None:
    started = time.monotonic()
    with Machine() as machine:
        machine.silent_to = {"PUT", "GET"}
        said = given.fails(3, BLAME, f"no AWS credentials for {OWN}", host=OWN, LOGIN="ecr", **machine.instance_env())
    tried = next(line for line in said.splitlines() if line.startswith("  tried"))
    for source in ("environment", "profile", "web identity", "container endpoint", "instance metadata"):
        assert source in tried
    # The SDK alone would wait for minutes.
    assert time.monotonic() - started < 20


@case("IRSA token file missing/unreadable")
def _(given: Case) -> None:
    role = {"AWS_ROLE_ARN": f"arn:aws:iam::{ACCOUNT}:role/pod", "LOGIN": "ecr", **NO_MACHINE}
    for path in ("/nowhere/token", str(given.demo.home)):
        given.fails(3, BLAME, path, host=OWN, AWS_WEB_IDENTITY_TOKEN_FILE=path, **role)


@case("IMDS hop limit in container")
def _(given: Case) -> None:
    with Machine() as machine:
        machine.silent_to = {"PUT"}
        given.fails(3, BLAME, "HttpPutResponseHopLimit=2", host=OWN, LOGIN="ecr", **machine.instance_env())


@case("throttling")
def _(given: Case) -> None:
    with amazon(given) as aws:
        aws.cloud.throttle(TOKEN, 1)
        assert given.answer(OWN, **aws.env) == "AWS"
        assert aws.cloud.attempts[TOKEN] == 2
        aws.cloud.throttle(TOKEN, 100)
        given.fails(3, BLAME, f"AWS throttled {TOKEN} for {OWN}", "4 attempts", host=OWN, **aws.env)
        assert aws.cloud.attempts[TOKEN] == 2 + 4


@case("clock skew (InvalidSignature/Signature expired / RequestExpired)")
def _(given: Case) -> None:
    with amazon(given) as aws:
        for minutes in (20, -20):
            aws.cloud.skew = timedelta(minutes=minutes)
            given.fails(3, BLAME, "clock differs from that of AWS", "ECR says it is", host=OWN, **aws.env)
        assert aws.cloud.attempts[TOKEN] == 2
        aws.cloud.skew = timedelta()
        aws.cloud.refuse(TOKEN, "RequestExpired", "Request has expired.")
        given.fails(3, BLAME, "clock", host=OWN, **aws.env)


@case("proxies: HTTPS_PROXY set")
def _(given: Case) -> None:
    with amazon(given) as aws, Machine() as recorder, Machine(aws.cloud.add_session(USER)) as machine:
        ca = str(given.fixture("tls_authority").write(given.sandbox / "ca.pem"))
        behind = {"LOGIN": "ecr", "HTTPS_PROXY": aws.server.url, "HTTP_PROXY": recorder.url, "AWS_CA_BUNDLE": ca}
        # Keys come from the machine itself, tokens through the proxy.
        assert given.answer(OWN, **behind, **machine.instance_env()) == "AWS"
        assert "api.ecr.eu-west-1.amazonaws.com" in aws.server.hosts
        assert machine.requests
        # And so they would from the addresses that every machine of Amazon's has.
        elsewhere = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/x", "LOGIN_TIMEOUT": "5s"}
        for env in ({}, elsewhere):
            given.demo.explain(OWN, **behind, **env)
        assert recorder.requests == []


@case("custom CA (`AWS_CA_BUNDLE`, `REQUESTS_CA_BUNDLE`, `SSL_CERT_FILE`)")
def _(given: Case) -> None:
    with amazon(given) as aws:
        ca = str(given.fixture("tls_authority").write(given.sandbox / "ca.pem"))
        env = {name: value for name, value in aws.env.items() if name != "AWS_ENDPOINT_URL"}
        env["HTTPS_PROXY"] = aws.server.url
        for variable in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
            assert given.answer(OWN, **env | {variable: ca}) == "AWS"
        given.fails(3, BLAME, "no trusted TLS connection to ECR", "AWS_CA_BUNDLE", host=OWN, **env)


def no_log_of_the_sdk(given: Case) -> None:
    """Nothing of botocore's own log is shown, however loud we are."""
    with amazon(given) as aws:
        keys = aws.cloud.add_session(USER)
        # AWS answers with the signed headers, the session's token among them.
        env = aws.env | keys.env() | {"AWS_SECRET_ACCESS_KEY": "cut"}
        said = given.fails(3, BLAME, "signature", host=OWN, argv="-vv .", **env)
        assert "botocore" not in said
        assert given.answer(HOST, **env) == "anonymous"
