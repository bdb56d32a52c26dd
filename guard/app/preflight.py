"""What ``guard check-config`` looks at beyond the settings: files and addresses they name."""

from __future__ import annotations

from guard.api.tls import CertificateFiles, check_files
from guard.api.webhook import WebhookConfig
from guard.app.model_files import describe
from guard.config import MOST_ATTEMPTS, Settings
from guard.errors import ConfigError
from guard.inference.recogniser import check_recogniser
from guard.policy.messages import check_advice
from guard.policy.plan import StepName
from guard.policy.texts import load_texts
from guard.relay.seam import check_addresses


def webhook_config(settings: Settings) -> WebhookConfig | None:
    """Return the receiver of alerts, None where none is configured.

    Raises:
        ConfigError: its address or its key cannot be used.
    """
    wanted = settings.webhook
    if not wanted.url:
        return None
    return WebhookConfig(wanted.url, wanted.key(), timeout_s=wanted.timeout_s, attempts=wanted.attempts)


def configured_certificate(settings: Settings) -> CertificateFiles | None:
    """Return the configured certificate, None where guard makes its own or none is needed.

    Raises:
        ConfigError: ``tls_invalid``.
    """
    server = settings.server
    if not server.tls or server.tls_cert is None or server.tls_key is None:
        return None
    return check_files(CertificateFiles(server.tls_cert, server.tls_key))


def recogniser(settings: Settings) -> None:
    """Refuse to go without the recogniser of spoken words where it is wanted.

    Raises:
        ModelError: ``recogniser_missing``.
    """
    if settings.checks.recogniser:
        check_recogniser(settings.checks.recogniser_dir)


def drill_clip(settings: Settings) -> None:
    """Refuse to go without the synthetic clip of drills where one of the site's own is named.

    Raises:
        ConfigError: there is no such file.
    """
    clip = settings.drills.clip
    if clip is not None and not clip.is_file():
        raise ConfigError("config_value", f"drills.clip: {clip} is no file; name a video with a voice")


def advice(settings: Settings) -> None:
    """Refuse a profile of the site's own that has no words for what it tells.

    Raises:
        ConfigError: ``profile_value``.
    """
    check_advice(settings.load_profile(), load_texts())


def warnings(settings: Settings) -> list[str]:
    """Return what works otherwise than the profile says, with file, key, reason and what to do.

    ``guard check-config`` prints them, ``guard serve`` writes them into its log.
    """
    return [*_attempts(settings), *_words(settings)]


def _attempts(settings: Settings) -> list[str]:
    attempts = settings.checks.course.attempts
    if attempts <= MOST_ATTEMPTS:
        return []
    text = (
        "a session may name the profile kz-ardfm, whose rules make the third failed one the negative result"
    )
    return [
        f"checks.course.attempts: {attempts} attempts; {text}; give {MOST_ATTEMPTS} or fewer where one does"
    ]


def _words(settings: Settings) -> list[str]:
    profile = settings.load_profile()
    step = profile.playbook.step(StepName.CHALLENGE)
    if settings.checks.recogniser or not settings.analysis.enabled:
        return []
    begins, asks = profile.checks.kind == "words", step is not None and step.kind == "words"
    if not begins and not asks:
        return []
    key = "checks.kind" if begins else "playbook.steps.challenge.kind"
    then = (
        "guard begins a visual check in its place"
        if begins
        else "a check of words that a person begins ends undecided"
    )
    return [
        f"{profile.name}.toml: {key}: words cannot pass while checks.recogniser is false, and {then}; "
        "pip install 'guard-relay[words]' and set checks.recogniser = true, or choose another kind"
    ]


def check(settings: Settings) -> None:
    """Refuse settings ``guard serve`` would refuse; makes and changes nothing.

    Raises:
        ConfigError: a certificate, the webhook, an address or the clip of drills cannot be used.
        ModelError: a card of the operator's models is wrong, or two of them score one signal; or the
            recogniser of spoken words is wanted and not there.
    """
    advice(settings)
    webhook_config(settings)
    configured_certificate(settings)
    check_addresses(settings.relay)
    drill_clip(settings)
    if settings.analysis.enabled:
        describe(settings.analysis.models_dir)
        recogniser(settings)
