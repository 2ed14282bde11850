"""Patterns of keys, tokens and passwords in text; it replaces nothing.

They are meant to find too much rather than too little: what is lost in a redacted
export is a word, what is missed is a key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

__all__ = ["Secret", "find_secrets", "names_secret"]

# What a key of each kind looks like, after words of which one stands in every such key
# in any case: looking for these first is fast.
_KEYS: Final = (
    # Private keys, also a block that was cut short.
    (
        "private",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:.{0,16384}?-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"|[A-Za-z0-9+/=\s\\:,.\-]{0,16384})",
    ),
    ("age-secret", r"AGE-SECRET-KEY-1[0-9A-Z]{20,}"),
    # crdtsync: tokens, the WebSocket's subprotocol, links
    ("cs1_", r"\bcs1_[A-Za-z0-9_.\-]{8,}"),
    ("token.", r"\btoken\.(?P<value>[A-Za-z0-9_\-]{16,})"),
    ("/s/", r"(?<=/s/)(?P<value>[A-Za-z0-9_\-]{1,128}#[^\s\"'<>)]+)"),
    # Model vendors
    ("k-", r"\b(?:c?sk|rk|pk)-[A-Za-z0-9_\-]{16,}"),
    ("aiza", r"\bAIza[A-Za-z0-9_\-]{30,}"),
    ("aq.", r"\bAQ\.[A-Za-z0-9_\-]{30,}"),
    ("ya29.", r"\bya29\.[A-Za-z0-9_\-.]{20,}"),
    ("gocspx", r"\bGOCSPX-[A-Za-z0-9_\-]{20,}"),
    ("1//0", r"\b1//0[A-Za-z0-9_\-]{20,}"),
    (
        "hf_ gsk_ r8_ fw_ nvapi xai- pplx- tgp_ jina_ pcsk_ lsv2",
        r"\b(?:hf|gsk|r8|fw|nvapi|xai|pplx|tgp_v1|jina|pcsk|lsv2_[ps]t)"
        r"[_\-][A-Za-z0-9_\-]{20,}",
    ),
    # Clouds
    (
        "akia asia abia acca agpa aida aroa aipa anpa anva",
        r"\bA(?:KIA|SIA|BIA|CCA|GPA|IDA|ROA|IPA|NPA|NVA)[A-Z0-9]{16}\b",
    ),
    ("_v1_", r"\bdo[opr]_v1_[a-f0-9]{40,}"),
    ("dapi", r"\bdapi[0-9a-f]{32}"),
    (
        "accountkey accesskey",
        r"(?i:\b(?:Account|SharedAccess)Key=)(?P<value>[A-Za-z0-9+/=]{20,})",
    ),
    (
        "sig= x-amz- access_token=",
        r"(?i:[?&](?:sig|X-Amz-Signature|X-Amz-Credential|access_token)=)"
        r"(?P<value>[^&\s\"']+)",
    ),
    # Code hosts, registries, chats, payments, mail
    ("ghp_ gho_ ghu_ ghs_ ghr_", r"\bgh[pousr]_[A-Za-z0-9]{20,}"),
    ("github_pat", r"\bgithub_pat_[A-Za-z0-9_]{20,}"),
    ("gl", r"\bgl[a-z]{2,6}-[A-Za-z0-9_\-]{16,}"),
    ("atatt3", r"\bATATT3[A-Za-z0-9_\-=]{20,}"),
    ("npm_", r"\bnpm_[A-Za-z0-9]{30,}"),
    ("pypi-", r"\bpypi-[A-Za-z0-9_\-]{30,}"),
    ("dckr_pat", r"\bdckr_pat_[A-Za-z0-9_\-]{20,}"),
    ("xox", r"\bxox[a-z]-[A-Za-z0-9\-]{10,}"),
    ("xapp-", r"\bxapp-[A-Za-z0-9\-]{10,}"),
    ("slack.com", r"\bhooks\.slack\.com/services/(?P<value>[A-Za-z0-9/]+)"),
    (
        "/api/webhooks",
        r"\bdiscord(?:app)?\.com/api/webhooks/(?P<value>[0-9]+/[A-Za-z0-9_\-]+)",
    ),
    (".", r"\b[MNO][A-Za-z0-9_\-]{23,40}\.[A-Za-z0-9_\-]{6}\.[A-Za-z0-9_\-]{27,}"),
    (":aa", r"\b[0-9]{8,10}:AA[A-Za-z0-9_\-]{33}\b"),
    ("k_live k_test", r"\b[srp]k_(?:live|test)_[A-Za-z0-9]{10,}"),
    ("whsec_", r"\bwhsec_[A-Za-z0-9+/=]{16,}"),
    ("shp", r"\bshp(?:at|ca|pa|ss)_[A-Fa-f0-9]{20,}"),
    ("sg.", r"\bSG\.[A-Za-z0-9_\-]{16,64}\.[A-Za-z0-9_\-]{16,}"),
    ("key- sk", r"\b(?:key-|SK)[0-9a-f]{32}\b"),
    (
        "lin_api ntn_ secret_ sbp_ figd_ glc_ phc_ phx_ rnd_ dp.pt hvs. hvb. napi_",
        r"\b(?:lin_api|ntn|secret|sbp|figd|glc|ph[cx]|rnd|dp\.pt|hv[sb]|napi)"
        r"[_.][A-Za-z0-9_\-]{20,}",
    ),
    # Signed tokens
    ("eyj", r"\beyJ[A-Za-z0-9_\-]{8,4096}\.[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*)?"),
    # user:password@host in an address
    (
        "://",
        r"\b[A-Za-z][A-Za-z0-9+.\-]{0,30}://[^\s/:@\"']{0,256}"
        r":(?P<value>[^\s/@\"']{1,512})@",
    ),
    # Headers
    (
        "bearer basic digest token",
        r"(?i:\b(?:bearer|basic|digest|token)\s+)(?=\S*[0-9._~+/=])"
        r"(?P<value>[A-Za-z0-9._~+/=\-]{8,})",
    ),
    (
        "cookie",
        r"(?i:\b(?:set-)?cookie\\*[\"']?\s*:\s*\\*[\"']?)(?P<value>[^\n\"']+)",
    ),
    (
        "curl",
        r"\bcurl\b[^\n]{0,400}\s(?:-u|--user)[ =]?[\"']?[^\s:\"']{1,128}:"
        r"(?P<value>[^\s\"']+)",
    ),
)

_LONG_NAME: Final = (
    r"secret|token|passw(?:or)?d|passwd|passphrase|credentials?|authorization"
    r"|api[_\-. ]?key|(?:access|private|secret|signing|encryption|master)[_\-. ]?key"
    r"|connection[_\-. ]?string|database[_\-. ]?url"
)
_SHORT_NAME: Final = r"auth|pwd|dsn|pin|otp"
_SECRET_NAME: Final = (
    rf"(?:{_LONG_NAME}|(?<![A-Za-z0-9])(?:{_SHORT_NAME}))"
    r"(?:[_\-.][A-Za-z0-9_\-.]{1,64})?"
)
_VALUE: Final = (
    r"(?:(?P<quote>\\*[\"'`])(?P<quoted>.{3,4096}?)(?P=quote)"
    r"|(?P<bare>[^\s\"'`,;)}\]]{3,}))"
)

# NAME=value, name: value, "name": "value" (also escaped within a string)
_ASSIGNED: Final = re.compile(
    rf"(?i){_SECRET_NAME}(?:\\*[\"'])?"
    rf"(?:\s*(?::=|=>|=|:)\s*|\s+is\s+(?=\S*[0-9])){_VALUE}"
)
# --name value
_OPTION: Final = re.compile(
    rf"(?i)(?<!\S)--?(?:[a-z0-9\-]{{0,40}}-)?(?:{_LONG_NAME}|{_SHORT_NAME})\s+{_VALUE}"
)

_PATTERNS: Final = tuple(
    (
        tuple(words.split()),
        re.compile(pattern, re.DOTALL),
    )
    for words, pattern in _KEYS
)
_NAMES: Final = (
    *("secret", "token", "passw", "passphrase", "credential", "auth"),
    *("key", "string", "url", "pwd", "dsn", "pin", "otp"),
)
_NAME: Final = re.compile(
    rf"(?i)(?:.{{0,64}}(?:{_LONG_NAME})|(?:.{{0,64}}[_\-. ])?(?:{_SHORT_NAME}))"
    r"(?:[_\-. ].{0,64})?"
)
_FLAG: Final = re.compile(r"^-{1,2}")
# What follows the name of a secret in code or prose, but is none.
_HARMLESS: Final = re.compile(
    r"(?i)(?:none|null|nil|true|false|str|string|bytes|int|bool|any|optional\S*|required"
    r"|\.{3,}|\*{3,}|x{3,}|\$\{?\w+\}?|<[^>]*>|\[redacted-\d+\]?|[0-9]{1,3}"
    r"|(?:self|os|process|env|settings|config|args|getenv|environ)\b\S*)"
)


class Secret(NamedTuple):
    """Something that looks like a secret.

    Attributes:
        text: The secret alone, without its name.
        sure: It has the form of a key, or the name of an environment variable;
            otherwise it may be a word of code that follows such a name.
    """

    text: str
    sure: bool


def names_secret(name: str) -> bool:
    """Tell whether a key, a variable or an option of this name holds a secret."""
    return _NAME.fullmatch(_FLAG.sub("", name)) is not None


def find_secrets(text: str) -> Iterator[Secret]:
    """Yield what looks like a secret; some may be found twice."""
    lower = text.lower()
    for words, pattern in _PATTERNS:
        if any(word in lower for word in words):
            for found in pattern.finditer(text):
                value = found.groupdict().get("value") or found.group()
                yield Secret(value, sure=True)
    if any(name in lower for name in _NAMES):
        yield from _named(text)


def _named(text: str) -> Iterator[Secret]:
    """Yield what is assigned to a name, or follows an option."""
    for pattern in (_ASSIGNED, _OPTION):
        for found in pattern.finditer(text):
            value = found.group("quoted") or found.group("bare")
            if not _HARMLESS.fullmatch(value):
                name = found.group().partition("=")[0]
                sure = name.isupper() or any(map(str.isdigit, value))
                yield Secret(value, sure)
