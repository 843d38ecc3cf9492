"""Finds the files an engine's configuration names."""

from pathlib import Path

from voxd.errors import ModelError


def whisper_file(model: str, models_dir: Path) -> Path:
    """Return the ggml file of ``model``, a path or a name of the catalogue. Raises `ModelError`."""
    return _find(model, models_dir, f"ggml-{model}.bin", "stt.whisper.model")


def piper_voice(voice: str, models_dir: Path) -> Path:
    """Return the .onnx file of ``voice``; its .onnx.json lies beside it. Raises `ModelError`."""
    path = _find(voice, models_dir, f"{voice}.onnx", "tts.piper.voice")
    config = path.with_name(path.name + ".json")
    if not config.is_file():
        raise ModelError(f"{config} is missing", hint=f"put {config.name} beside {path.name}")
    return path


def _find(name: str, models_dir: Path, file_name: str, key: str) -> Path:
    named = Path(name).expanduser()
    is_path = "/" in name or named.suffix in (".bin", ".onnx")
    path = (named if "/" in name else models_dir / named) if is_path else models_dir / file_name
    if path.is_file():
        return path
    hint = f"correct {key}" if is_path else f"run `voxctl models pull {name}`"
    raise ModelError(f"{path} is missing", hint=hint)
