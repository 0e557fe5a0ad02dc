"""What the options and variables make of registries, region and identity."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fake_aws.asking import OWN, Asker, values
from hypothesis import given
from hypothesis import strategies as st
from ocibuild_core.plugin import CredentialsUnavailable, Match, OptionType, ProviderContext, Secret, UsageError

from ocibuild_ecr import EcrProvider, identity
from ocibuild_ecr.identity import GitHubToken, Role, TokenFile, TokenText

A, B, C = "111111111111", "222222222222", "012345678901"
ROLE = f"arn:aws:iam::{A}:role/pull"
HUB = "arn:aws:iam::999999999999:role/team/hub"
GITHUB = {"ACTIONS_ID_TOKEN_REQUEST_URL": "https://ci.example/t?v=1", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "b-secret"}


def asked(env: Mapping[str, str] | None = None, **options: Any) -> ProviderContext:
    return ProviderContext(**Asker(env=env or {})._context(options))


class TestRegistries:
    @pytest.mark.parametrize("item", ["1234", "12345678901", "1234567890123", "१२३४५६७८९०१२"])
    def test_an_account_has_twelve_digits(self, item: str) -> None:
        with pytest.raises(UsageError, match=f"ECR_REGISTRIES: '{item}' is no AWS account id") as caught:
            identity.named_registries(values(registries=(item,)))
        assert "quotes" in caught.value.do
        assert caught.value.summary.endswith(f"this has {len(item)}" if item.isascii() else "these are others")

    @pytest.mark.parametrize(
        "item", [f"{OWN}.evil.example", "registry.example", "123456789012.dkr.ecr.amazonaws.com", "alias"]
    )
    def test_a_host_is_one_of_amazon_s(self, item: str) -> None:
        with pytest.raises(UsageError, match="neither an AWS account id nor a registry of Amazon's"):
            identity.named_registries(values(registries=(item,)))

    def test_a_password_in_a_url_is_not_repeated(self) -> None:
        with pytest.raises(UsageError) as caught:
            identity.named_registries(values(registries=(f"https://AWS:hunter2-secret@{OWN}",)))
        assert "hunter2" not in str(caught.value)

    def test_hosts_come_in_any_spelling_and_once(self) -> None:
        named = (f"https://{OWN}/", OWN.upper(), f"{OWN}:443", A, A, "public.ecr.aws")

        assert identity.named_registries(values(registries=named)) == (OWN, A, "public.ecr.aws")

    def test_quotes_are_no_part_of_a_name(self) -> None:
        """As `REGISTRIES: \'"123456789012", "…"\'` has them, or a variable that a shell did not unquote."""
        named = (f"'{A}'", f' "{OWN}" ', '"public.ecr.aws"')

        assert identity.named_registries(values(registries=named)) == (A, OWN, "public.ecr.aws")
        assert EcrProvider().match("public.ecr.aws", values(registries=named)) is Match.SPECIFIC

    @pytest.mark.parametrize("item", [f"{A} {B}", f"{A}\n{OWN}"])
    def test_several_without_commas_are_said(self, item: str) -> None:
        with pytest.raises(UsageError, match="holds white space") as caught:
            identity.named_registries(values(registries=(item,)))
        assert "commas" in caught.value.do

    def test_hosts_alone_need_no_region_and_no_aws(self) -> None:
        assert Asker(env={"AWS_REGION": "Bogus!"}).registries(registries=(OWN,)) == (OWN,)

    def test_more_than_ten_accounts_keep_their_order(self, nobody: Asker) -> None:
        accounts = tuple(f"{number:012}" for number in range(25, 0, -1))

        found = nobody.registries(registries=accounts, region="cn-north-1")

        assert found == tuple(f"{one}.dkr.ecr.cn-north-1.amazonaws.com.cn" for one in accounts)

    def test_what_is_named_is_matched(self, nobody: Asker) -> None:
        for region in ("eu-west-1", "us-gov-east-1", "eusc-de-east-1", "us-isob-east-1", "ap-new-9"):
            (name,) = nobody.registries(registries=(C,), region=region)
            assert EcrProvider().match(name, values()) is Match.SPECIFIC

    def test_nothing_is_named_by_somebody_who_did_not_ask(self) -> None:
        assert Asker(env={}).on_his_own().registries() == ()


class TestRegion:
    CHAIN = {"AWS_REGION": "us-east-2", "AWS_DEFAULT_REGION": "us-west-1"}

    @pytest.mark.parametrize(
        ("options", "env", "profile", "expected"),
        [
            ({"region": "eu-north-1"}, CHAIN, "sa-east-1", ("eu-north-1", "ECR_REGION", False)),
            ({"region": " EU-North-1\n"}, {}, None, ("eu-north-1", "ECR_REGION", False)),
            ({"region": ""}, CHAIN, "sa-east-1", ("us-east-2", "AWS_REGION", False)),
            (
                {"region": "  "},
                {"AWS_REGION": " ", "AWS_DEFAULT_REGION": "us-west-1"},
                None,
                ("us-west-1", "AWS_DEFAULT_REGION", False),
            ),
            ({}, {}, "sa-east-1", ("sa-east-1", "the AWS profile", False)),
            ({}, {"AWS_REGION": ""}, " ", ("eu-west-1", "the default", True)),
        ],
    )
    def test_the_nearest_setting_wins(
        self, options: dict[str, str], env: dict[str, str], profile: str | None, expected: tuple[str, str, bool]
    ) -> None:
        found = identity.find_region(asked(env, **options), lambda: profile)

        assert (found.name, found.origin, found.is_guess) == expected

    @pytest.mark.parametrize(
        "bad", ["bogus", "eu west 1", "eu-west", "eu_west_1", "eu-west-1.evil.example", "-", "é-w-1"]
    )
    def test_what_is_no_region_is_said_with_its_setting(self, bad: str) -> None:
        with pytest.raises(UsageError, match=r"^ECR_REGION: .* is no AWS region"):
            identity.find_region(asked(region=bad), lambda: None)
        with pytest.raises(UsageError, match=r"^AWS_REGION: .* is no AWS region"):
            identity.find_region(asked({"AWS_REGION": bad}), lambda: None)

    def test_a_region_of_no_partition_is_said(self, nobody: Asker) -> None:
        with pytest.raises(UsageError, match="no partition that the region moon-base-1 could be in"):
            nobody.registries(registries=(A,), region="moon-base-1")

    def test_a_host_says_its_region_whatever_the_setting(self) -> None:
        assert Asker(env={"REGION": "bogus"}).get("docker.io") is None


class TestRoles:
    def test_the_account_s_own_roles_come_before_those_for_all(self) -> None:
        roles = (HUB, f"{A}={ROLE}", f"{B}={HUB}", f"{B}=arn:aws:iam::{B}:role/push")

        def arns(account: str | None) -> list[str]:
            return [role.arn for role in identity.identity_for(asked(role_arn=roles), account).roles]

        assert arns(A) == [ROLE]
        assert arns(B) == [HUB, f"arn:aws:iam::{B}:role/push"]
        assert arns(C) == arns(None) == [HUB]

    def test_without_roles_it_is_the_default_chain(self) -> None:
        assert identity.identity_for(asked(), A) == identity.Identity()

    def test_only_options_for_single_accounts_say_nothing_about_the_own_registry(self) -> None:
        assert not identity.is_for_all(values(role_arn=(f"{A}={ROLE}",)))
        assert identity.is_for_all(values(role_arn=(f"{A}={ROLE}", HUB)))
        assert identity.is_for_all(values())

    @pytest.mark.parametrize(
        "item",
        ["pull", f"{A}=pull", f"1234={ROLE}", f"=={ROLE}", f"{ROLE}\n", "arn:aws:iam::1:role/x", f"{A}={ROLE} x"],
    )
    def test_what_is_no_role_is_said(self, item: str) -> None:
        with pytest.raises(UsageError, match="ECR_ROLE_ARN: .* is no role"):
            identity.identity_for(asked(role_arn=(item,)), A)

    @pytest.mark.parametrize(
        "arn", ["arn:aws-cn:iam::111111111111:role/a", "arn:aws-us-gov:iam::111111111111:role/x/y=z"]
    )
    def test_roles_of_other_partitions_and_odd_names(self, arn: str) -> None:
        assert identity.identity_for(asked(role_arn=(f"{A}={arn}",)), A).roles == (Role(arn=arn),)

    def test_external_ids_by_role_by_account_or_for_all(self) -> None:
        ids = ("for=all", f"{B}=for-b", f"{HUB}=for,hub=x")

        def found(account: str) -> list[str | None]:
            who = identity.identity_for(asked(role_arn=(HUB, ROLE), external_id=ids), account)
            return [role.external_id for role in who.roles]

        assert found(A) == ["for,hub=x", "for=all"]
        assert found(B) == ["for,hub=x", "for-b"]

    @pytest.mark.parametrize("item", ["x", "a b", "ü" * 5, "a" * 1225])
    def test_what_is_no_external_id_is_said(self, item: str) -> None:
        with pytest.raises(UsageError, match="ECR_EXTERNAL_ID: an item is no external id"):
            identity.identity_for(asked(role_arn=(ROLE,), external_id=(item,)), A)

    def test_the_session_s_name(self) -> None:
        def name(**options: Any) -> str:
            return identity.identity_for(asked(role_arn=(ROLE,), **options), A).session_name

        assert (name(), name(session_name=" job-17 ")) == ("ocibuild", "job-17")

    @pytest.mark.parametrize("bad", ["a b", "x", "ü" * 3, "n" * 65, " "])
    def test_a_bad_session_s_name_is_said(self, bad: str) -> None:
        with pytest.raises(UsageError, match="ECR_SESSION_NAME: .* is no name of a role session"):
            identity.identity_for(asked(role_arn=(ROLE,), session_name=bad), A)


class TestWebIdentity:
    def test_a_token_from_a_param_is_trimmed(self) -> None:
        found = identity.identity_for(asked(role_arn=(ROLE,), web_identity_token=Secret("x.y.z\n")), A)

        assert found.web_identity == TokenText(origin="ECR_WEB_IDENTITY_TOKEN", token=Secret("x.y.z"))

    def test_the_sdk_s_token_file_without_its_role_takes_the_option_s(self) -> None:
        env = {"AWS_WEB_IDENTITY_TOKEN_FILE": "/t"}

        assert identity.identity_for(asked(env, role_arn=(ROLE,)), A).web_identity == TokenFile(path=Path("/t"))
        assert identity.identity_for(asked(env), A) == identity.Identity()
        assert identity.identity_for(asked({**env, "AWS_ROLE_ARN": HUB}, role_arn=(ROLE,)), A).web_identity is None
        assert identity.identity_for(asked(env, role_arn=(ROLE,), profile="p"), A).web_identity is None

    def test_an_empty_param_is_no_token(self) -> None:
        assert identity.identity_for(asked(role_arn=(ROLE,), web_identity_token=Secret(" \n")), A).web_identity is None

    def test_a_token_without_a_role_is_an_error(self) -> None:
        with pytest.raises(UsageError, match="ECR_WEB_IDENTITY_TOKEN is given, but no role"):
            identity.identity_for(asked(web_identity_token=Secret("x.y.z")), A)

    def test_the_role_may_come_from_the_sdk_s_variable(self) -> None:
        found = identity.identity_for(asked({"AWS_ROLE_ARN": ROLE}, web_identity_token=Secret("x.y.z")), A)

        assert found.roles == (Role(arn=ROLE),)

    def test_an_option_s_role_is_nearer_than_the_sdk_s_variable(self) -> None:
        found = identity.identity_for(
            asked({"AWS_ROLE_ARN": HUB}, web_identity_token=Secret("x.y.z"), role_arn=(ROLE,)), A
        )

        assert found.roles == (Role(arn=ROLE),)

    def test_a_bad_role_in_the_variable_is_said(self) -> None:
        with pytest.raises(UsageError, match="AWS_ROLE_ARN: 'pull' is no role"):
            identity.identity_for(asked({"AWS_ROLE_ARN": "pull"}, web_identity_token=Secret("x.y.z")), A)

    @pytest.mark.parametrize(
        ("env", "kind"),
        [
            (GITHUB, GitHubToken),
            ({"GITLAB_OIDC_TOKEN": "x.y.z"}, TokenText),
            ({**GITHUB, "AWS_ACCESS_KEY_ID": "A"}, None),
            ({**GITHUB, "AWS_PROFILE": "p"}, None),
            ({"GITLAB_OIDC_TOKEN": "x.y.z", "AWS_WEB_IDENTITY_TOKEN_FILE": "/t"}, TokenFile),
            ({**GITHUB, "AWS_WEB_IDENTITY_TOKEN_FILE": "/t", "AWS_ROLE_ARN": HUB}, None),
            ({"GITLAB_OIDC_TOKEN": "x.y.z", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://h"}, None),
            ({**GITHUB, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": ""}, None),
        ],
    )
    def test_a_ci_system_s_token_is_taken_when_nothing_else_is_said(
        self, env: dict[str, str], kind: type | None
    ) -> None:
        found = identity.identity_for(asked(env, role_arn=(ROLE,)), A).web_identity

        assert (type(found) if found else None) is kind

    def test_it_is_not_taken_without_a_role(self) -> None:
        assert identity.identity_for(asked(GITHUB), A) == identity.Identity()

    def test_it_is_not_taken_beside_a_profile(self) -> None:
        assert identity.identity_for(asked(GITHUB, role_arn=(ROLE,), profile="p"), A).web_identity is None

    def test_it_is_not_taken_when_switched_off(self) -> None:
        assert identity.identity_for(asked(GITHUB, role_arn=(ROLE,), web_identity="none"), A).web_identity is None

    def test_it_is_taken_when_asked_for_whatever_else_is_there(self) -> None:
        env = {**GITHUB, "GITLAB_OIDC_TOKEN": "x.y.z", "AWS_ACCESS_KEY_ID": "A"}

        def kind(choice: str) -> type:
            return type(identity.identity_for(asked(env, role_arn=(ROLE,), web_identity=choice), A).web_identity)

        assert (kind("github"), kind("gitlab")) == (GitHubToken, TokenText)

    @pytest.mark.parametrize("choice", ["github", "gitlab"])
    def test_one_that_is_asked_for_and_missing_is_said_with_the_job_s_setting(self, choice: str) -> None:
        with pytest.raises(CredentialsUnavailable, match=f"{choice}'s OIDC token") as caught:
            identity.identity_for(asked(role_arn=(ROLE,), web_identity=choice), A)
        assert "token" in caught.value.do
        with pytest.raises(CredentialsUnavailable, match=f"the job has none to log in to {OWN} with"):
            Asker(env={}).get(OWN, role_arn=(ROLE,), web_identity=choice)

    def test_the_audience_can_be_set(self) -> None:
        def audience(**options: Any) -> str:
            found = identity.identity_for(asked(GITHUB, role_arn=(ROLE,), **options), A).web_identity
            assert isinstance(found, GitHubToken)
            return found.audience

        assert audience() == "sts.amazonaws.com"
        assert audience(web_identity_audience="sts.amazonaws.com.cn") == "sts.amazonaws.com.cn"

    def test_no_token_shows_in_what_is_printed(self) -> None:
        found = identity.identity_for(
            asked({**GITHUB, "GITLAB_OIDC_TOKEN": "lab-secret"}, role_arn=(ROLE,), web_identity="github"), A
        )

        assert "secret" not in repr(found)


def test_a_token_takes_no_value_on_the_command_line() -> None:
    (token,) = [option for option in EcrProvider.options if option.name == "web-identity-token"]

    assert token.type is OptionType.SECRET


def test_the_historic_variables_are_read() -> None:
    assert {option.name: option.env for option in EcrProvider.options if option.env} == {
        "region": ("REGION",),
        "registries": ("REGISTRIES",),
        "session-name": ("AWS_ROLE_SESSION_NAME",),
    }


@given(st.text(max_size=40))
def test_any_text_is_an_account_a_host_or_an_error(text: str) -> None:
    try:
        (found,) = identity.named_registries(values(registries=(text,)))
    except UsageError:
        return
    assert found.isdigit() or EcrProvider().match(found, values(registries=(text,))) is Match.SPECIFIC
