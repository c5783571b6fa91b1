from __future__ import annotations

from pathlib import Path

import pytest

from minigpt.checkpoints import load_checkpoint
from minigpt.training import Callback, Trainer
from tests.training.tiny import config, tiny_gpt, tokens, trainer, without_times


def test_callbacks_in_their_order(tmp_path: Path) -> None:
    calls = []

    class Recorder(Callback):
        def on_step(self, trainer, record):
            calls.append(("step", trainer.step, record["step"]))

        def on_evaluation(self, trainer, record):
            calls.append(("evaluation", trainer.step, record["step"]))

        def on_checkpoint(self, trainer, path):
            assert load_checkpoint(path).metadata["step"] == trainer.step
            calls.append((path.name, trainer.step))

    trainer(
        max_steps=3, eval_interval=2, checkpoint_interval=2, checkpoint_dir=tmp_path,
        callbacks=[Recorder()],
    ).fit()  # fmt: skip
    assert [call for call in calls if call[0] != "best.npz"] == [
        ("step-00000000.npz", 0),
        ("step", 1, 1),
        ("step", 2, 2),
        ("evaluation", 2, 2),
        ("step-00000002.npz", 2),
        ("step", 3, 3),
        ("evaluation", 3, 3),
        ("step-00000003.npz", 3),
    ]


def test_a_callback_can_stop_the_run_which_can_go_on() -> None:
    class Stop(Callback):
        def on_step(self, trainer, record):
            if trainer.step == 5:
                trainer.stop()

    run = trainer(callbacks=[Callback(), Stop()])
    assert len(run.fit().steps) == 5
    run.fit()
    assert run.step == 10
    assert without_times(run.history) == without_times(trainer().fit())


def test_an_error_in_a_callback_is_the_caller_s(tmp_path: Path) -> None:
    class Bad:
        def on_step(self, trainer, record):
            if trainer.step == 3:
                raise KeyError("mine")

    run = trainer(callbacks=[Bad()], checkpoint_dir=tmp_path)
    with pytest.raises(KeyError, match="mine"):
        run.fit()
    assert run.step == 3
    run.fit()
    assert run.finished


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (Callback(), r"a list: got a Callback; write callbacks=\[…\]"),
        ([Callback], r"objects: got the class Callback; make an object of it: Callback\(…\)"),
        ([print], "objects with one of the methods on_gradients, on_step, .*on_checkpoint: got"),
        ([None], "objects with one of the methods.*: got None; derive their class from"),
        (3, "a list: got 3"),
    ],
)
def test_what_is_not_a_callback(bad, message) -> None:
    with pytest.raises(TypeError, match=f"callbacks must be {message}"):
        trainer(callbacks=bad)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("on_eval", "on_evaluation"),
        ("on_steps", "on_step"),
        ("on_save_checkpoint", "on_checkpoint"),
        ("on_epoch_end", "on_"),
    ],
)
def test_a_method_that_is_never_called_is_an_error(name: str, meant: str) -> None:
    for base in (Callback, object):
        mine = type("Mine", (base,), {name: lambda *_: None})()
        with pytest.raises(TypeError, match=rf"Mine\.{name} is never called; did you mean {meant}"):
            trainer(callbacks=[mine])


def test_other_attributes_are_the_callback_s_own() -> None:
    class Mine(Callback):
        on_gpu = False

        def once(self) -> None:
            pass

    trainer(callbacks=[Mine()], max_steps=1).fit()


def test_the_gradients_of_each_step_are_shown_clipped_before_it_is_taken() -> None:
    seen = []

    class Watches(Callback):
        def on_gradients(self, trainer, norm):
            squares = sum(float((p.grad**2).sum()) for p in trainer.parameters)
            seen.append((trainer.step, norm, squares**0.5, trainer.parameters[0].data.copy()))

    run = trainer(callbacks=[Watches()], max_steps=2, grad_clip=0.01)
    before = run.parameters[0].data.copy()
    run.fit()
    assert [step for step, *_ in seen] == [0, 1]
    assert [norm for _, norm, *_ in seen] == run.history.column("grad_norm")
    assert all(clipped == pytest.approx(0.01, rel=1e-3) for _, _, clipped, _ in seen)
    assert (seen[0][3] == before).all() and not (seen[1][3] == before).all()
    assert all(parameter.grad is None for parameter in run.parameters)


def test_an_error_before_a_step_takes_the_batch_back() -> None:
    class Refuses(Callback):
        def on_gradients(self, trainer, norm):
            if trainer.step == 1 and not self.done:
                self.done = True
                raise KeyError("mine")

    refuses = Refuses()
    refuses.done = False
    run, plain = trainer(callbacks=[refuses], max_steps=3), trainer(max_steps=3)
    with pytest.raises(KeyError, match="mine"):
        run.fit()
    assert run.step == 1 and all(p.grad is None for p in run.parameters)
    assert run.fit().column("loss") == plain.fit().column("loss")


def test_print_writes_above_the_bar(capsys: pytest.CaptureFixture[str]) -> None:
    class Prints(Callback):
        def on_step(self, trainer, record):
            trainer.print("after step", trainer.step)

    for progress in (True, False):
        trainer(callbacks=[Prints()], max_steps=2, progress=progress).fit()
        assert capsys.readouterr().out.split("\n") == ["after step 1", "after step 2", ""]


def test_a_record_names_what_it_holds() -> None:
    class Looks(Callback):
        def on_step(self, trainer, record):
            assert {"step", "loss", "learning_rate", "grad_norm"} < record.keys()

        def on_evaluation(self, trainer, record):
            record["val_loss"]

    run = Trainer(tiny_gpt(), tokens(), None, config(max_steps=4), callbacks=[Looks()])
    with pytest.raises(KeyError, match=r"there are step, train_loss, .*needs val_tokens"):
        run.fit()
