"""What the tests of this plugin share: questions, a Secret Service, back ends of keyring."""

from basic_support.asking import Asker
from basic_support.back_ends import write_back_end
from basic_support.secret_service import SecretService

__all__ = ["Asker", "SecretService", "write_back_end"]
