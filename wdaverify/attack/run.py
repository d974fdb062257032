"""One distributional attack: batches of samples through a method, judged in float64, remembered as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from wdaverify._deadline import Deadline
from wdaverify._errors import DataError, DomainError, InputError, ModelError
from wdaverify.attack.cell_program import ROUNDS, cell_optima, may_gain, suits
from wdaverify.attack.findings import CLEAN, Findings, question_digest
from wdaverify.attack.journal import Extent
from wdaverify.attack.memory import rows_that_fit
from wdaverify.attack.methods import RIVALS
from wdaverify.attack.noise import content_keys
from wdaverify.attack.recall import confirmed_again, finished
from wdaverify.attack.rows import Rows
from wdaverify.attack.settle import leading, settle
from wdaverify.attack.victim import Victim
from wdaverify.attack.wda import ranked_rivals
from wdaverify.feature_domain import Domain, box_per_sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wdaverify._types import IntArray, Matrix, Vector
    from wdaverify.attack.journal import Journal
    from wdaverify.attack.logits import Model
    from wdaverify.attack.options import AttackOptions
    from wdaverify.dataset import Dataset
    from wdaverify.domain import Box
    from wdaverify.transport import WassersteinBall


class Run:
    """The victim, the question, and what is known so far.

    Attributes
    ----------
    clean
        Shape (N,): 0 for the samples that err as they are, ``inf`` for the others.
    """

    def __init__(
        self,
        model: Model,
        data: Dataset,
        balls: Sequence[WassersteinBall],
        *,
        domain: Box | Domain,
        options: AttackOptions,
        input_shape: Sequence[int] | int | None,
    ) -> None:
        self.data, self.balls, self.options = data, balls, options
        self.domain = box_per_sample(domain, "distributional attacks").sized(data.size)
        self.victim = Victim(model, data.size, input_shape=input_shape, device=options.device)
        self._check()
        self.victim.check_steady(data.x[0])
        self.findings, self._recalled, self._deadline = Findings.of(data), (0, 0), Deadline()
        self._cut_short = False
        rows = rows_that_fit(self.victim)
        self.batch_size = options.batch_size or max(1, rows // min(RIVALS, self.victim.outputs - 1))
        self.clean = self._clean()

    def _check(self) -> None:
        """Labels exist and samples lie in the domain, or the error that says which does not."""
        foreign = np.flatnonzero(self.data.y >= self.victim.outputs)
        if len(foreign):
            raise DataError(
                f"sample {foreign[0]} has label {self.data.y[foreign[0]]}, {self.victim.name} has outputs 0 to "
                f"{self.victim.outputs - 1}"
            )
        box = self.domain.box if isinstance(self.domain, Domain) else self.domain
        frozen = self.domain.frozen if isinstance(self.domain, Domain) else np.zeros(self.data.size, dtype=bool)
        outside = np.argwhere(((self.data.x < box.lower) | (self.data.x > box.upper)) & ~frozen)
        if len(outside):
            i, k = map(int, outside[0])
            raise DomainError(
                f"sample {i} lies outside the domain: x[{i}, {k}] = {float(self.data.x[i, k])!r} is not in "
                f"[{box.lower[k]:g}, {box.upper[k]:g}]; give a larger domain or scale the data"
            )

    def digest(self) -> str:
        """A hash of everything that the points depend on."""
        domain, options = self.domain, self.options
        box = domain.box if isinstance(domain, Domain) else domain
        frozen = domain.frozen if isinstance(domain, Domain) else None
        reaches = None if options.chosen.in_ball is None else [options.reach(b.radius, b.order) for b in self.balls]
        names = (options.method, options.effort, options.seed, str(self.balls[0].norm), reaches)
        return question_digest(self.victim.digest, self.data.x, self.data.y, box.lower, box.upper, frozen, names)

    @property
    def extent(self) -> Extent:
        """The sizes of the arrays of a journal."""
        parts = len(self.options.chosen.parts)
        return Extent(samples=self.data.count, coordinates=self.data.size, classes=self.victim.outputs, parts=parts)

    @property
    def counts(self) -> tuple[int, int]:
        """Evaluations and gradients, with those of an earlier run that was stopped."""
        return self._recalled[0] + self.victim.forward, self._recalled[1] + self.victim.backward

    def _clean(self) -> Vector:
        """Judge the samples themselves; what errs is found at distance 0."""
        distances = np.full(self.data.count, np.inf)
        for index in self._batches(np.arange(self.data.count)):
            x, labels = self.data.x[index], self.data.y[index]
            outputs = self.victim.judge(x)
            undefined = np.flatnonzero(np.isnan(outputs).any(axis=1))
            if len(undefined):
                raise ModelError(f"{self.victim.name}: sample {index[undefined[0]]} has logits that are not numbers (nan)")
            errs = self.victim.errs(x, labels, outputs)
            place = index[errs]
            distances[place] = 0.0
            parts, targets = np.full(len(place), CLEAN), leading(outputs[errs], labels[errs])
            self.findings.put(place, distances=distances[place], targets=targets, points=x[errs], parts=parts)
        return distances

    def _batches(self, index: IntArray) -> Iterator[IntArray]:
        """The samples of an index, some at a time."""
        for first in range(0, len(index), self.batch_size):
            yield index[first : first + self.batch_size]

    def finish(
        self, journal: Journal | None, radius: float, deadline: Deadline, progress: Callable[[int, int, float], None] | None
    ) -> None:
        """Attack every sample that is not done while time is left; `radius` is the one that `progress` hears about."""
        found, self._deadline = self.findings, deadline
        if journal is not None:
            self._recalled = self._recall(journal)
        for index in self._batches(np.flatnonzero(~found.done)):
            if deadline.passed:
                return
            before = self.counts
            self._attack_in_parts(index[self.clean[index] > 0])
            if self._cut_short:
                return  # what was found holds, but not all of it was polished
            found.done[index] = True
            if journal is not None:
                after = self.counts
                spent = after[0] - before[0], after[1] - before[1]
                journal.keep(finished(index, found, self.victim, self.data, spent))
            if progress is not None:
                weights = np.array([float(w) for w in self.data.fractions])[found.done]
                left = weights @ (found.distances[found.done] > radius)
                progress(int(found.done.sum()), self.data.count, float(left / weights.sum()) if weights.any() else 0.0)

    def _recall(self, journal: Journal) -> tuple[int, int]:
        """Take up what finished batches found; their evaluations and gradients."""
        counts = np.zeros(2, dtype=np.int64)
        for file, batch in journal.batches():
            lower, upper = self._ends(batch.index)
            norm = self.balls[0].norm
            sure = confirmed_again(batch, file, self.victim, self.data, ends=(lower, upper), norm=norm)
            found = {n: getattr(batch, n)[sure] for n in ("distances", "targets", "points", "parts")}
            self.findings.put(batch.index[sure], **found)
            self.findings.done[batch.index[sure]] = True
            counts += batch.counts
        return int(counts[0]), int(counts[1])

    def _attack_in_parts(self, index: IntArray) -> None:
        """Attack the samples of an index together, or in halves if the device has too little memory for that."""
        try:
            self._attack(index)
        except torch.OutOfMemoryError:
            if self.options.batch_size is not None or len(index) == 1:
                raise InputError(
                    f"{self.victim.device}: no memory to attack {len(index)} samples; give a smaller batch_size"
                ) from None
        else:
            return
        if self.victim.device.type == "cuda":
            torch.cuda.empty_cache()
        half = len(index) // 2
        self._attack_in_parts(index[:half])
        self._attack_in_parts(index[half:])

    def _attack(self, index: IntArray) -> None:
        """Run the method on the samples of an index, none of which errs as it is."""
        if len(index) == 0:
            return
        exact = self._rows(index)
        rough = exact.with_logits(self.victim.rough, torch.float32)
        candidates = ranked_rivals(exact, RIVALS)
        steps, restarts = self.options.effort
        method = self.options.chosen
        if method.nearest is not None:
            found = method.nearest(rough, exact, steps=steps, restarts=restarts, candidates=candidates)
            self._keep(index, exact, found.points, found.parts)
        if method.polish is not None and suits(self.victim.network, exact.norm):
            self._polish(index, exact, method.polish)
        if method.in_ball is not None:
            reaches = sorted({self.options.reach(ball.radius, ball.order) for ball in self.balls} - {0.0})
            for reach in reaches:
                # What fell within a smaller radius has fallen within this one.
                left = torch.as_tensor(np.flatnonzero(np.isinf(self.findings.distances[index])), device=self.victim.device)
                # Larger radii do not fit into float32: the ball is then smaller than it might be, which is allowed.
                within = min(reach, torch.finfo(torch.float32).max)
                some, radius = rough.select(left), torch.full((len(left),), within, device=left.device)
                kept = method.in_ball(some, radius, steps=steps, restarts=restarts, candidates=candidates[left])
                self._keep(index[left.cpu().numpy()], exact.select(left), kept.points, torch.zeros_like(left), reach)

    def _keep(self, index: IntArray, exact: Rows, points: torch.Tensor, parts: torch.Tensor, radius: float | None = None) -> None:
        """Judge what was found and remember it."""
        judged = settle(self.victim, exact, points, radius)
        self.findings.put(
            index,
            distances=judged.distances,
            targets=judged.targets,
            points=judged.points,
            parts=np.asarray(parts.cpu().numpy(), dtype=np.int64),
        )

    def _polish(self, index: IntArray, exact: Rows, part: int) -> None:
        """Replace points by nearer ones of their activation cells, cell by cell while that gains and time is left."""
        network, found = self.victim.network, self.findings
        assert network is not None
        left = np.flatnonzero(np.isfinite(found.distances[index]))
        for _ in range(ROUNDS):
            places = index[left]
            rows = exact.select(torch.as_tensor(left, device=self.victim.device))
            chosen = may_gain(network, rows, found.points[places], found.targets[places], found.distances[places])
            if len(chosen) == 0:
                break
            left, places = left[chosen], places[chosen]
            before, rows = found.distances[places], rows.select(torch.as_tensor(chosen, device=self.victim.device))
            known = found.points[places], found.targets[places], before
            proposals = torch.as_tensor(cell_optima(network, rows, *known, self._deadline), device=self.victim.device)
            self._keep(places, rows, proposals, torch.full_like(rows.labels, part))
            if self._deadline.passed:
                self._cut_short = True
                break
            left = left[found.distances[places] < before]

    def _rows(self, index: IntArray) -> Rows:
        """The samples of an index in float64, without rivals."""
        x, (lower, upper) = self.data.x[index], self._ends(index)
        device = self.victim.device
        tensors = [torch.tensor(a, device=device) for a in (x, self.data.y[index], lower, upper, content_keys(x))]
        return Rows(
            logits=self.victim.exact,
            samples=tensors[0],
            labels=tensors[1],
            rivals=None,
            lower=tensors[2],
            upper=tensors[3],
            norm=self.balls[0].norm,
            keys=tensors[4],
            seed=self.options.seed,
        )

    def _ends(self, index: IntArray) -> tuple[Matrix, Matrix]:
        """The ends (B, n) of the boxes in which the samples of an index may move."""
        x, domain = self.data.x[index], self.domain
        box, frozen = (domain.box, domain.frozen) if isinstance(domain, Domain) else (domain, np.zeros(x.shape[1], dtype=bool))
        return np.where(frozen, x, box.lower), np.where(frozen, x, box.upper)
