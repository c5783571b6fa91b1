"""What must work where only the wheel or the sdist is installed, without a checkout beside it.

python -I tests/reliability/bare_install.py      from any folder, in an environment with minigpt
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

import minigpt as mg

HERE = Path(__file__).resolve().parents[2]
PACKAGE = Path(mg.__file__).resolve().parent
TEXT = "to be or not to be, that is the question. " * 20


def main() -> None:
    assert HERE not in PACKAGE.parents, f"{PACKAGE} is the checkout, not what was installed"
    assert (PACKAGE / "py.typed").is_file(), "type checkers would not read the types"

    tokenizer = mg.CharTokenizer.train(TEXT)
    model = mg.GPT(mg.GPTConfig(tokenizer.vocab_size, 16, n_layer=1, n_head=2, n_embd=16))
    config = mg.TrainerConfig(max_steps=3, batch_size=4, progress=False)
    with tempfile.TemporaryDirectory() as folder:
        trainer = mg.Trainer(model, tokenizer.encode_array(TEXT), None, config, tokenizer=tokenizer)
        trainer.fit()
        trainer.save(Path(folder, "run.npz"))
        again, its_tokenizer = mg.load_model(Path(folder, "run.npz"))
        model.eval()
        ids = its_tokenizer.encode_array("to be")[None].astype(np.int64)
        assert np.array_equal(again(ids).data, model(ids).data)
        # The page's style and scripts are data of the package.
        page = mg.viz.explore(again, its_tokenizer, "to be").save(Path(folder, "page.html"))
        assert page.stat().st_size > 50_000
    print(
        f"minigpt {mg.__version__}, Python {sys.version.split()[0]}, NumPy {np.__version__}: works"
    )


if __name__ == "__main__":
    main()
