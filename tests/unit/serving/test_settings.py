"""Settings: flag, then environment, then file, then default; unknown names are refused."""

from pathlib import Path

import pytest
from pydantic_settings import SettingsConfigDict

from facerec.environment import boolean
from facerec.serving.server.errors import SettingsInvalid
from facerec.serving.server.settings import ServingSettings
from facerec.serving.server.settings_loading import load


class Settings(ServingSettings):
    """The settings of the tests' service."""

    model_config = SettingsConfigDict(env_prefix="TESTED_")

    address: str = "127.0.0.1:1"
    """HOST:PORT to listen on."""

    database_url: str | None = None
    """Where the database is."""


def read(*argv: str) -> Settings:
    return load(Settings, list(argv), prog="tested serve")


def test_a_flag_wins_over_the_environment_the_file_and_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tested.toml"
    file.write_text('address = "127.0.0.1:2"\n')
    assert read().address == "127.0.0.1:1"
    assert read("--config", str(file)).address == "127.0.0.1:2"
    monkeypatch.setenv("TESTED_ADDRESS", "127.0.0.1:3")
    assert read("--config", str(file)).address == "127.0.0.1:3"
    assert read(f"--config={file}", "--address", "127.0.0.1:4").address == "127.0.0.1:4"


def test_a_secret_is_read_from_the_file_its_variable_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "url"
    secret.write_text("postgresql://somewhere\n")
    monkeypatch.setenv("TESTED_DATABASE_URL_FILE", str(secret))
    assert read().database_url == "postgresql://somewhere"
    secret.unlink()
    with pytest.raises(SettingsInvalid, match="url"):
        read()


def test_an_unknown_variable_or_file_entry_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tested.toml"
    file.write_text("adress = 1\n")
    with pytest.raises(SettingsInvalid, match=r"there is no setting adress; did you mean address\?"):
        read("--config", str(file))
    monkeypatch.setenv("TESTED_ADRESS", "127.0.0.1:3")
    with pytest.raises(SettingsInvalid, match=r"TESTED_ADRESS: .*did you mean TESTED_ADDRESS\?"):
        read()
    monkeypatch.delenv("TESTED_ADRESS")
    monkeypatch.setenv("TESTED_NOTHING_LIKE_IT", "1")
    with pytest.raises(SettingsInvalid, match=r"TESTED_NOTHING_LIKE_IT: .*--help` lists them"):
        read()


@pytest.mark.parametrize(
    "argv", [["--grace-seconds=-1"], ["--log-level", "loud"], ["--max-request-bytes", "1"]]
)
def test_a_value_out_of_range_names_its_flag_and_variable(argv: list[str]) -> None:
    flag = argv[0].partition("=")[0]
    variable = "TESTED_" + flag.removeprefix("--").replace("-", "_").upper()
    with pytest.raises(SettingsInvalid, match=f"{flag} .{variable}."):
        read(*argv)


@pytest.mark.parametrize("text", ["1", "true", "True", "YES", "on", "0", "false", "FALSE", "No", "off"])
def test_a_switch_is_read_as_the_clients_read_theirs(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESTED_INSECURE", text)
    assert read().insecure is boolean("TESTED_INSECURE", {"TESTED_INSECURE": text})


@pytest.mark.parametrize("text", ["2", "maybe", "enabled"])
def test_a_switch_that_is_neither_on_nor_off_is_an_error(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESTED_INSECURE", text)
    with pytest.raises(SettingsInvalid, match="TESTED_INSECURE"):
        read()


def test_help_shows_each_field_s_docstring(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read("--help")
    shown = " ".join(capsys.readouterr().out.split())
    assert "--database-url" in shown
    assert "Where the database is." in shown
    assert "Largest message received or sent, in bytes." in shown
