"""Small linear programs over parts of a cube, many at once: a primal-dual interior-point method.

    maximise  t . u + t_0      s = W u + w >= 0,     |u_j| <= 1

from points that satisfy all inequalities strictly. The Newton step of the central path ``mu s = y' (1 - u) = y (1 + u) = tau`` is
(Wright, *Primal-Dual Interior-Point Methods*, 1997, chapter 1 and 11)

    (D + W^T E W) du = t + tau (W^T 1/s - 1/(1 - u) + 1/(1 + u)),    D = y'/(1 - u) + y/(1 + u),  E = diag(mu / s)

and is solved in as many unknowns as there are coordinates or walls (by the formula of Sherman, Morrison and Woodbury). Every
iterate is a point strictly inside, and its multipliers mu are worth a proof: a program is given up as soon as either answers
the question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify.cells.pieces import Pieces, excluded

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, Matrix, Vector

_STEPS = 40
"""More mean that the answer is 0 up to rounding."""

_CENTERING = 0.15
"""The path parameter aimed at, as a part of the present one."""

_DAMPING = 0.95
"""Part of the way to the boundary that a step may go."""

_DEEP = 0.3
"""A positive value is good enough when it is this part of what is still possible."""


def ascend(targets: Pieces, tolerances: Vector, walls: Pieces, starts: Matrix) -> tuple[Matrix, Vector, Matrix]:
    """Find points where targets are positive, or weights of the walls that prove that there are none.

    Parameters
    ----------
    targets, tolerances
        One function for each of P programs, (P, 1); values up to these count as 0, shape (P,).
    walls
        Functions (P, K), positive at the start; rows of zeros stand for none.
    starts
        Shape (P, f), strictly inside.

    Returns
    -------
    points, values, weights
        Shapes (P, f), (P,) and (P, K). The point is strictly inside up to rounding. Nothing is proved.

    Examples
    --------
    ``u + 1/2`` where ``1/4 - u`` is nonnegative:

    >>> none = np.zeros((1, 1))
    >>> target, wall = Pieces(np.array([[[1.0, 0.5]]]), none), Pieces(np.array([[[-1.0, 0.25]]]), none)
    >>> points, values, _ = ascend(target, np.zeros(1), wall, np.zeros((1, 1)))
    >>> bool(values[0] > 0.2)
    True
    """
    count, size = len(starts), walls.rows.shape[1]
    points, values, weights = starts.copy(), np.full(count, -np.inf), np.zeros((count, size))
    live = np.arange(count)
    scale = np.maximum(np.abs(targets.rows[:, 0, :-1]).sum(axis=1), 1e-300)
    path = _Path(targets.rows[:, 0] / scale[:, None], walls.rows, starts.copy())
    for step in range(_STEPS):
        path.advance()
        found = path.values() * scale[live]
        deep = (found > tolerances[live]) & (found >= _DEEP * (found + scale[live] * path.gaps()))
        proved = np.zeros(len(live), dtype=bool)
        if step > 0:
            proved = excluded(targets[live], walls[live], path.weights[:, None] * scale[live, None, None])[:, 0]
        done = deep | proved | ~path.sound() | (step == _STEPS - 1)
        ended = live[done]
        points[ended], values[ended] = path.points[done], found[done]
        weights[ended] = path.weights[done] * scale[ended, None]
        if done.all():
            break
        if done.any():
            path, live = path[~done], live[~done]
    broken = ~(np.isfinite(points).all(axis=1) & np.isfinite(values))
    points[broken], values[broken] = starts[broken], -np.inf
    return points, values, weights


class _Path:
    """Iterates of P programs: targets (P, f + 1), walls (P, K, f + 1), points (P, f), and all multipliers."""

    def __init__(self, targets: Matrix, walls: Vector, points: Matrix) -> None:
        self._targets, self._walls, self.points = targets, walls, points
        self._none = (walls == 0.0).all(axis=2)
        slacks, below, above = self._slacks()
        start = 1.0 / (2 * points.shape[1] + walls.shape[1])
        with np.errstate(divide="ignore"):  # a start that is not inside ends as no answer
            self.weights = np.where(self._none, 0.0, start / slacks)
            self._below, self._above = start / below, start / above

    def __getitem__(self, chosen: BoolArray) -> _Path:
        path: _Path = object.__new__(_Path)
        for name, array in vars(self).items():
            setattr(path, name, array[chosen])
        return path

    def _slacks(self) -> tuple[Matrix, Matrix, Matrix]:
        values = (self._walls[:, :, :-1] @ self.points[:, :, None])[:, :, 0] + self._walls[:, :, -1]
        return np.where(self._none, 1.0, values), 1.0 + self.points, 1.0 - self.points

    def values(self) -> Vector:
        """Of the targets, (P,)."""
        values: Vector = (self._targets[:, :-1] * self.points).sum(axis=1) + self._targets[:, -1]
        return values

    def gaps(self) -> Vector:
        """About how much more a target may reach, (P,)."""
        slacks, below, above = self._slacks()
        gaps: Vector = (self.weights * slacks).sum(axis=1) + (self._below * below + self._above * above).sum(axis=1)
        return gaps

    def sound(self) -> BoolArray:
        """Which programs still consist of numbers, (P,)."""
        return np.asarray(np.isfinite(self.points).all(axis=1) & np.isfinite(self.weights).all(axis=1))

    def advance(self) -> None:
        """One Newton step of every program."""
        slopes = self._walls[:, :, :-1]
        slacks, below, above = self._slacks()
        walls = np.maximum(1, (~self._none).sum(axis=1) + 2 * self.points.shape[1])
        tau = (_CENTERING * self.gaps() / walls)[:, None]
        with np.errstate(all="ignore"):
            gradient = self._targets[:, :-1] + tau * (1.0 / below - 1.0 / above)
            gradient += tau * (np.where(self._none, 0.0, 1.0 / slacks)[:, None] @ slopes)[:, 0]
            diagonal = self._below / below + self._above / above
            move = newton(slopes, self.weights / slacks, diagonal, gradient)
            moved = (slopes @ move[:, :, None])[:, :, 0]
            weights = np.where(self._none, 0.0, (tau - self.weights * moved) / slacks - self.weights)
            low = (tau - self._below * move) / below - self._below
            high = (tau + self._above * move) / above - self._above
            primal = _longest((moved, move, -move), (slacks, below, above))
            dual = _longest((weights, low, high), (self.weights, self._below, self._above))
        self.points = self.points + primal * move
        self.weights = self.weights + dual * weights
        self._below, self._above = self._below + dual * low, self._above + dual * high


def newton(slopes: Vector, curvatures: Matrix, diagonal: Matrix, gradient: Matrix) -> Matrix:
    """Solve ``(D + W^T E W) x = g`` for each of P programs; shapes (P, K, f), (P, K), (P, f) and (P, f)."""
    roots = np.sqrt(np.maximum(curvatures, 0.0))
    scaled = slopes * roots[:, :, None]
    count, size = slopes.shape[1:]
    if size <= count:
        matrices = scaled.transpose(0, 2, 1) @ scaled
        matrices[:, np.arange(size), np.arange(size)] += diagonal
        return _solved(matrices, gradient)
    inner = (scaled / diagonal[:, None]) @ scaled.transpose(0, 2, 1)
    inner[:, np.arange(count), np.arange(count)] += 1.0
    straight = gradient / diagonal
    right = (scaled @ straight[:, :, None])[:, :, 0]
    correction = _solved(inner, right)[:, :, None]
    result: Matrix = straight - (scaled.transpose(0, 2, 1) @ correction)[:, :, 0] / diagonal
    return result


def _solved(matrices: Vector, rights: Matrix) -> Matrix:
    """Solve P linear systems (P, K, K) with right-hand sides (P, K); NaN where one has no solution in floats."""
    bad = np.asarray(~np.isfinite(matrices).all(axis=(1, 2)))
    matrices[bad] = np.eye(matrices.shape[1])
    try:
        solution = np.linalg.solve(matrices, rights[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:
        if len(matrices) == 1:
            return np.full(rights.shape, np.nan)
        half = len(matrices) // 2
        parts = [_solved(matrices[part], rights[part]) for part in (slice(None, half), slice(half, None))]
        solution = np.concatenate(parts)
    return np.where(bad[:, None], np.nan, solution)


def _longest(moves: tuple[Matrix, ...], rooms: tuple[Matrix, ...]) -> Matrix:
    """How far each program (P, 1) may go along its moves so that all rooms stay positive, at most 1."""
    longest = np.ones(len(moves[0]))
    for move, room in zip(moves, rooms, strict=True):
        share = np.where(move < 0.0, room / np.maximum(-move, 1e-300), np.inf)
        longest = np.minimum(longest, _DAMPING * share.min(axis=1, initial=np.inf))
    return longest[:, None]


def centered(walls: Vector, starts: Matrix, steps: int = 6) -> Matrix:
    """Move strictly interior points (B, f) towards the analytic centres of parts of the cube; walls of shape (B, K, f + 1)."""
    points, none, slopes = starts, (walls == 0.0).all(axis=2), walls[:, :, :-1]
    for _ in range(steps):
        slacks = np.where(none, 1.0, (slopes @ points[:, :, None])[:, :, 0] + walls[:, :, -1])
        below, above = 1.0 + points, 1.0 - points
        with np.errstate(all="ignore"):
            inverse = np.where(none, 0.0, 1.0 / slacks)
            gradient = 1.0 / below - 1.0 / above + (inverse[:, None] @ slopes)[:, 0]
            move = newton(slopes, inverse**2, below**-2 + above**-2, gradient)
            moved = (slopes @ move[:, :, None])[:, :, 0]
            points = points + np.where(np.isfinite(move), _longest((moved, move, -move), (slacks, below, above)) * move, 0.0)
    return points
