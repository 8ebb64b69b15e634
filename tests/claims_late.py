"""Rows of test_claims.py: Section 9, the recap and the solutions.

A row: part (part@n: its cell n) | words of the script | what its names make
true; or | words it prints, with # for numbers, * for anything | the numbers.
"""

import re

import numpy as np
import torch
from definitions import CELLS, parts_of
from torch.nn import functional as F
from walk import TEXT, always


def check_of(part, words, expression):
    """Return a check of a walk, for all seeds unless it sees a figure."""
    def check(t):
        title, cell = (part + "@-1").split("@")[:2]
        names = dict(t.names(title, int(cell)), t=t, num=t.numbers(title))
        value = eval(f"({expression})", dict(names, names=names, **TOOLS))
        if "#" not in words:
            return value
        found = np.ravel(re.findall(re.escape(words).replace(
            r"\*", ".*?").replace(r"\#", r" *(-?\d+\.?\d*)"), " ".join(
                t.printed(title, int(cell)).split())))
        value = np.hstack([np.ravel(each) for each in value])
        half = [0.51 * 0.1 ** len(n.partition(".")[2]) for n in found]
        assert len(half) == len(value) and (abs(
            found.astype(float) - value) < half).all(), (words, found, value)
        return True
    return check if "t.figures" in expression else always(check)


def out(model, X):
    with torch.no_grad():
        return model.eval()(X).cpu()


def right(model, X, y):
    logits = out(model, X)
    answers = logits.argmax(dim=1) if logits.shape[1] > 1 else logits > 0
    return (answers.flatten() == y.cpu().flatten()).float().mean()


def scaled(raw, sets):
    """Return the lengths of sets, if they are scaled as the first raw one."""
    mean, width = raw[0].mean(axis=0), raw[0].std(axis=0)
    return [len(X) * np.allclose(X.cpu().numpy() * width + mean, part, 1e-4,
                                 1e-4) for X, part in zip(sets, raw)]


TOOLS = {"BCE": F.binary_cross_entropy_with_logits, "CE": F.cross_entropy,
         "out": out, "right": right, "scaled": scaled, "TEXT": TEXT,
         "CELLS": CELLS, "PARTS": parts_of(TEXT, with_sections=True)}
ROWS = r"""Step 1 | Samples: # # # | scaled(X_parts, [X_train, X_val, X_test])
Step 2 | Beside it, two hidden layers | len(models["network"].layers) == 5
Step 4 | training set** moves the weights | train_batches.tensors[0] is X_train
Step 4 | epoch 30: training loss #, validation loss # | train_loss,
 BCE(out(model, X_val), y_val)
Step 5 | Validation accuracy: # | [right(model, X_val, y_val)]
Tools: C | loss far below 0): targets go from 0 to 1, not from # to # | 1, 2
Tools: C | mean): outputs *(#, 1), but targets (#,)*0): one logit | 32, 32
Before | scaled *lost *ReLU *frozen *none *last #, zeroed # | loss.data, zeroed
Before | Unscaled features make a fresh network far too sure. | num[0] > 1 >
 0.1 + np.log(2) > max(num[4::4])
Before | Lost inputs leave one answer for all. | round(num[5] - num[6], 1) == 0
Before | After a ReLU no logit is negative, so class 0 stays undecided at best.
 | num[9] > (1 - targets.mean()) * np.log(2) - 0.006
Before | frozen layer only the gradient tells | num[3::4] == [0, 0, 0, 2, 0]
The Tools@0 | epoch #: training loss #, validation loss # | [[n, *two] for h in
 histories.values() for n, two in enumerate(zip(*h.values()), 1) if not n % 10]
The Tools@0 | Choose by the validation set | val_batches.tensors[0] is X_val
The Tools@0 | stops ten epochs after the best | max(len(h["val_loss"]) -
 np.argmin(h["val_loss"]) for h in histories.values()) < 12
The Tools@1 | the network; its test accuracy is # | [right(min(models.values(),
 key=lambda m: BCE(out(m, X_val), y_val)), X_test, y_test)]
General | from the dot on it learns them |
 all(np.allclose(np.hstack([x.get_xydata().T for x in ax.lines]),
 [[*np.arange(25) + 0.5, *range(1, 26), np.argmin(c["val_loss"]) + 1],
 [*c["train_loss"], *c["val_loss"], min(c["val_loss"])]]) and [title, "epoch",
 "train", "valid", "best:"] == [ax.get_title(), ax.get_xlabel(),
 *(x.get_label()[:5] for x in ax.lines)] and ax.get_ylabel() in "loss" for ax,
 (title, c) in zip(t.figures["09_generalisation"].axes, curves.items()))
General | Both lines stay high | [min(*c["train_loss"], *c["val_loss"]) > 1 for
 c in curves.values()] == [1, 0, 0]
General | Nearly to the end the training loss is higher |
 np.mean(np.greater(*[*curves.values()][1].values())) > 0.5
General | validation loss turns and rises | min(np.diff([c["val_loss"][-1] /
 min(c["val_loss"]) for c in curves.values()])) > 0.03
General | `fit` repeats the run on the right | np.allclose(losses, curves["128
 units, 100 digits"]["val_loss"][:np.argmin(losses) + 6], 1e-3)
General | Best of # epochs: test accuracy #, mean loss of the wrong answers
 #*accuracy #,*answers # | len(losses), *(e for m in (stopped, model) for z in
 [out(m, images[2])] for bad in [z.argmax(dim=1) != labels[2]] for e in (1 -
 bad.float().mean(), CE(z[bad], labels[2][bad])))
General | grows surer, so each wrong answer costs more | costs[1] > costs[0]
General | but holds, and the loss rises | [[t.run("again", CELLS[n +
 k].replace("::5", ":0"), names) for k in (0, 1, 3)] for n, cell in
 enumerate(CELLS) if "def noisy_" in cell] and
 np.argmin([*names["curves"].values()][2]["val_loss"]) < 24 and -0.05 <
 np.diff([right(names[m], images[2], labels[2]) for m in ("stopped", "model")])
Your Own@0 | Features: (#, #) targets: from # to #*target # # # # # # # # # # #
 | [*X.shape, min(y), max(y), *X[0], *table.target[:1]]
Your Own | a column for each code, 1 where the row has it and 0 elsewhere |
 (is_code == (table.data[:, [1]] == sorted({*table.data[:, 1]}))).all()
Your Own@1 | gaps in # of | [(X != np.delete(table.data, 1, 1)).any(1).sum()]
Your Own | like the scaling, from the training set alone | all(scaled(X_parts,
 X_sets)) and np.allclose(medians, np.median(X_parts[0], axis=0))
Your Own | everyone: off by #*linear *network: off by # | [abs(a -
 y_parts[1]).mean() for a in (y_parts[0].mean(), out(model, X_sets[1]).numpy()
 * y_parts[0].std() + y_parts[0].mean())]
Your Own | The network beats the mean by far. | num[-1] < 0.85 * num[-3]
Your Own | it is nearly a tie | abs(num[-1] - num[-2]) < 4
Save | 0.87]: upper moon; *lower one #*-0.37]: lower moon; *lower one # |
 torch.sigmoid(out(models["network"], torch.Tensor(scaler.transform(rows))))
How Far | 5 seeds: #, from # to #; standard error from # points: # | [[p,
 min(a), max(a), 200, ((p - p * p) / 200) ** 0.5] for a in [[*accuracies[:4],
 right(model, X_test, y_test)]] for p in [np.mean(a)]]
Remedies | accuracy #, from # to # | [[np.mean(a), min(a), max(a)] for a in
 [*accuracies.values()][:5] + [values[:2] + [right(model, images[1],
 labels[1])]]]
Remedies | Fewer units disappoint | means["16 units"] < min(others)
Remedies | More data helps most | means["400 digits"] == max(means.values())
Remedies | baseline beats the network without a remedy | others[-1] > none
A Schedule@0 | rate from # to #: validation loss # | 0.03, 0.03, losses[0],
 0.1, 0.1, losses[1], 0.1, 0, CE(out(model, X_val), y_val)
A Schedule@1 | inf: a step moves the bias by #*1.0: a step moves the bias by #
 | 0.02 * (999 - 3 * x[9]), 0.1 / (1 + x[9] ** 2) ** 0.5
Five@0 | # % positives, pos_weight # | 5, 95 / 5
Five@0 | classes weigh the same | abs(1 / y_train.mean() - 1 - weight) < 1e-3
Five@1 | found missed *alarmed spared accuracy all healthy # # # # # plain # #
 # # # plain, 0.05 # # # # # weighted # # # # # | [[*torch.bincount((2 * ~ill +
 ~a).flatten()), (a == ill).sum() / len(a)] for p in [out(model, X_val)] for a
 in (p > 99, logits["plain"] > 0, logits["plain"] > -np.log(19), p > 0)]
Five@2 | find most of the ill (high **recall**), and most of their alarms are
 false (low **precision**): their accuracy is *below* | all(f > 3 * m and a > f
 and r < 0.95 for f, m, a, _, r in (num[13:18], num[18:23]))
Five@2 | mean p #; where p > 0.5: mean p #, share of ill # | [[p.mean(), p[p >
 0.5].mean(), ill[p > 0.5].float().mean()] for x in [logits["weighted"]] for p
 in map(torch.sigmoid, (logits["plain"], x, x - np.log(19)))]
Five@2 | move the threshold, or divide the odds | [abs((p - 1 * ill)[p >
 0.5].mean()) < 0.3 for p in map(torch.sigmoid, logits.values())] == [1, 0, 1]
Five@3 | loss #; yes: [[True, F | [np.logaddexp(0, [-2, -1, 0.5]).mean()]
Not Only | boosting linear network moons # # # tumours # # # digits # # # |
 [*np.mean([*results.values()], axis=1)[:2], np.mean([scores[0],
 [trees.score(X_parts[2], y_parts[2]), scores[1][1], right(model, X_sets[2],
 y_sets[2])]], axis=0)]
Not Only | On the tumours it is as good as any | num[4] > max(num[3:6]) - 0.03
Not Only | moons boosting keeps up with the network | num[0] > num[2] - 0.03
Sol | first look again, line by line | all(any(f"Section {p.section},
 {p.title}".replace("Section None, ", "").startswith(where) and key in
 str(p.cells) for p in PARTS) for key, where in
 re.findall(r"(\w+?)(?:_fn)?\(.*` \| (Section .+?|First Look) \|", TEXT))
Sol@0 | weighted sums [[#, #, #], [#, #, #]] | 4, 0, -1, 3.5, 2, 1
Sol@0 | mistakes [#, #, #, #, #, #]*[#, #], bias # |
 *Perceptron(2).fit(corners, 1 - corners.prod(1)), *vars(perceptron).values()
Sol@0 | each input must pull the sum down | max(perceptron.weights) < 0
Sol@0 | slopes tensor([#, #, #, #, #]) | 0.25 / (z / 2).cosh() ** 2
Sol@1 | outputs without ReLU [#, #, #, #] | 2 - corners.sum(dim=1)
Sol@1 | # parameters; # | 2 * [11 * 20 + 21 * 30 + 31 * 5]
Sol@1 | MSE #; for L1 [#, #, #] | [[n, 2, 2.5, 3] for n in (26.5, 2.5)]
Sol@2 | limit #; at 0.179 *e-*limit #; at 0.181 *e+ | [2 * 1.8 / 20] * 2
Sol@2 | same: tensor([[#, #, #]]) | (out(layer, X) - targets).T @ X / 4
Sol@3 | # of # test wines are right | scaled(X_parts, [X_train, X_val,
 X_test])[2] * np.array([right(model, X_test, y_test), 1])
Sol@3 | whole numbers as targets | right(model, X_test, y_test) > 0.84"""
ROWS = [r.replace("\n", "").split(" | ") for r in re.split(r"\n(?! )", ROWS)]
SAID = [(*row[:2], check_of(*row)) for row in ROWS if "#" not in row[1]]
SHOWN = [(row[0], check_of(*row)) for row in ROWS if "#" in row[1]]
