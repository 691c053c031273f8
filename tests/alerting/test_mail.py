"""What lies in a mailbox, and how a mail server is spoken to."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from email.message import Message
from pathlib import Path

import pytest
from far_ends import HOSTILE, now_ns, opened, told
from service_mail import PASSWORD, USER, MailService

from watchpost.alerting.channels import ChannelSettingsError
from watchpost.alerting.egress import Outbound
from watchpost.alerting.notifier import Answer, Failed, Sent
from watchpost.alerting.notifiers.mail import Mail
from watchpost.model.notice import Notice


def mailed(*notices: Notice, faults: tuple[str, ...] = ()) -> tuple[list[Answer], MailService]:
    """The answers to one conversation, whose handle is that of its first mail."""

    async def story() -> tuple[list[Answer], MailService]:
        async with MailService(*faults) as service:
            channel, handle, answers = opened("mail", service.port), "", []
            for notice in notices:
                one = await channel.send(notice, handle)
                handle = handle or (one.handle if isinstance(one, Sent) else "")
                answers.append(one)
            return answers, service

    return asyncio.run(story())


def parts(mail: Message[str, str]) -> tuple[str, str]:
    """Text and HTML."""
    found = [part.get_payload(decode=True) for part in mail.walk() if not part.is_multipart()]
    text, markup = (part.decode() for part in found if isinstance(part, bytes))
    return text.replace("\r\n", "\n"), markup


def test_a_mail_says_the_same_as_text_and_as_html() -> None:
    answers, service = mailed(told())
    [mail] = service.mails
    assert answers == [Sent("OK queued", "<0f0f0f0f-trigger.watchpost@a.example>")]
    assert (mail["From"], mail["To"]) == ("watchpost@a.example", "ops@a.example, dev@b.example")
    assert mail["Subject"] == "[HIGH] refunds: tool_timeout"
    assert mail["Auto-Submitted"] == "auto-generated"
    text, markup = parts(mail)
    for said in ("Agent error: tool_timeout - no answer from orders-db", "team-agents", "0.18", "conv-7"):
        assert said in text
        assert said in markup
    assert "Runbook: https://runbooks.example/tools?id=1\n" in text
    assert "<a href='https://runbooks.example/tools?id=1'>Runbook</a>" in markup


def test_all_mails_of_a_conversation_are_one_thread() -> None:
    _, service = mailed(told(), told("acknowledge"), told("resolve"))
    first, *rest = service.mails
    assert (first["In-Reply-To"], first["References"]) == (None, None)
    for mail in rest:
        assert mail["In-Reply-To"] == mail["References"] == first["Message-ID"]
    assert len({mail["Message-ID"] for mail in service.mails}) == 3
    assert "by ana <b>" in parts(rest[0])[0]
    assert "by ana &lt;b&gt;" in parts(rest[0])[1]


def test_no_text_forges_a_header_or_markup() -> None:
    _, service = mailed(told(error=None, service=HOSTILE, summary=HOSTILE, metric="m\r\nBcc: x@y\r\n\r\nbody"))
    [mail] = service.mails
    assert mail["Bcc"] is None
    assert mail["Subject"].startswith("[HIGH] [31m txt.exe <!channel>")
    assert "שלום" in mail["Subject"]
    text, markup = parts(mail)
    assert "<script>" not in markup
    assert "&lt;script&gt;" in markup
    assert "\x1b" not in text + markup


@pytest.mark.parametrize(
    ("line", "permanent"),
    [("451 4.7.1 greylisted", False), ("421 4.3.2 later", False), ("550 5.7.1 no", True), ("552 5.3.4 too big", True)],
)
def test_4xx_is_tried_again_and_5xx_is_not(line: str, permanent: bool) -> None:
    [answer] = mailed(told(), faults=(line,))[0]
    assert answer == Failed(permanent=permanent, detail=line)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for mail.example in one file."""
    pem = tmp_path_factory.mktemp("tls") / "both.pem"
    key = pem.with_name("key.pem")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=mail.example"
    names = ["-addext", "subjectAltName=DNS:mail.example", "-keyout", str(key), "-out", str(pem)]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    pem.write_text(key.read_text() + pem.read_text())
    return pem


def over_tls(
    certificate: Path, *, implicit: bool, host: str = "mail.example", password: str = PASSWORD
) -> tuple[Answer, MailService]:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    client = ssl.create_default_context(cafile=str(certificate))

    async def to_loopback(_host: str, _port: int) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]

    async def story() -> tuple[Answer, MailService]:
        async with MailService(tls=server, login=True, implicit=implicit) as service:
            channel = Mail(
                host,
                "watchpost@a.example",
                ["ops@a.example"],
                Outbound(to_loopback, now_ns, client, allow_private=True, timeout_s=3.0),
                security="tls" if implicit else "starttls",
                port=service.port,
                username=USER,
                password=password,
            )
            return await channel.send(told()), service

    return asyncio.run(story())


@pytest.mark.parametrize("implicit", [True, False])
def test_mail_goes_over_tls_to_who_knows_the_password(certificate: Path, implicit: bool) -> None:
    answer, service = over_tls(certificate, implicit=implicit)
    assert isinstance(answer, Sent), answer
    assert (service.logins, len(service.mails)) == ([True], 1)


@pytest.mark.parametrize("implicit", [True, False])
def test_a_server_that_is_not_who_it_should_be_is_told_nothing(certificate: Path, implicit: bool) -> None:
    answer, service = over_tls(certificate, implicit=implicit, host="other.example")
    assert isinstance(answer, Failed)
    assert not answer.permanent
    assert service.mails == []


def test_a_wrong_password_is_permanent_and_not_repeated(certificate: Path) -> None:
    answer, _ = over_tls(certificate, implicit=False, password="wr0ng")  # noqa: S106  wrong on purpose
    assert isinstance(answer, Failed)
    assert answer.permanent
    assert answer.detail.startswith("535 ")
    assert "wr0ng" not in answer.detail


def test_a_server_without_the_tls_that_was_asked_for_is_told_nothing() -> None:
    async def story() -> tuple[Answer, MailService]:
        async with MailService() as service:
            return await opened("mail", service.port, security="starttls").send(told()), service

    answer, service = asyncio.run(story())
    assert isinstance(answer, Failed)
    assert service.mails == []


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"to": []}, "to: "),
        ({"to": ["a@b.example\r\nBcc: x@y"]}, "to: "),
        ({"to": ["Ops <ops@a.example>"]}, "to: "),
        ({"sender": "nobody"}, "sender: "),
        ({"host": ""}, "host: "),
        ({"host": "a b"}, "host: "),
        ({"username": "u", "password": "pa55"}, "password: "),
        ({"security": "ssl"}, "security"),
    ],
)
def test_settings_by_which_no_mail_can_go_are_refused(changed: dict[str, object], field: str) -> None:
    with pytest.raises(ChannelSettingsError, match=field) as refused:
        opened("mail", 1, **changed)
    assert "pa55" not in str(refused.value)
