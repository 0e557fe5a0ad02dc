"""A faithful AWS on this machine, as far as a login to ECR goes: it checks signatures, regions, times, trust and OIDC
tokens for real, and refuses as AWS does."""

from fake_aws.cloud import Call, Cloud, Issued, Keys
from fake_aws.machine import Machine
from fake_aws.oidc import Issuer
from fake_aws.server import AwsServer

__all__ = ["AwsServer", "Call", "Cloud", "Issued", "Issuer", "Keys", "Machine"]
