"""T5's tokenizer as sentencepiece's model, as the oldest published pipelines hold it."""

from __future__ import annotations

import io
import json
from pathlib import Path

TEXTS = ("a red cat on the grass", "a blue dog on sand", "the bird sits in a green tree", "a yellow house by the sea")
SPECIAL = {"pad": "<pad>", "eos": "</s>", "unk": "<unk>"}
LIMIT = 24


def save_with_pieces(folder: Path, *, alone: bool) -> None:
    """Add ``spiece.model`` to a tokenizer's folder; ``alone``: in place of all else that says how text is cut."""
    from sentencepiece import SentencePieceTrainer

    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 50),
        model_writer=model,
        vocab_size=45,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
        pad_piece=SPECIAL["pad"],
        eos_piece=SPECIAL["eos"],
        unk_piece=SPECIAL["unk"],
    )
    if alone:
        for file in folder.iterdir():
            file.unlink()
        special = {f"{name}_token": piece for name, piece in SPECIAL.items()}
        about = {"tokenizer_class": "T5Tokenizer", "model_max_length": LIMIT, "extra_ids": 0, **special}
        (folder / "tokenizer_config.json").write_text(json.dumps(about))
        (folder / "special_tokens_map.json").write_text(json.dumps(special))
    (folder / "spiece.model").write_bytes(model.getvalue())
