"""``Forecaster``: forecasting after scikit-learn's conventions."""

from pathlib import Path
from typing import Any, Self

from sklearn.base import RegressorMixin

from ...core import InputError
from ..estimator import Estimator
from ..scores import Scores
from .forecasts import Forecasts
from .run import ForecastRun
from .task import TASK


class Forecaster(RegressorMixin, Estimator):
    """Forecasts of any number of series by one network, with intervals.

    The parameters are the options of ``unrolled train forecast``, such as ``horizon``, ``context``, ``target``,
    ``id``, ``time``, ``cell``, ``hidden_size`` and ``minutes``; see docs/forecast.md. X is a table of any dataframe
    library, an array (n,) of one series or (n, S) of one a column, or a list of arrays; the series and their future
    are all in it, so y is not used.

    Attributes:
        run_: the :class:`ForecastRun`.

    Reference:
        Encoder and decoder: Cho et al. 2014, arXiv:1406.1078; the linear path beside them: Lai et al. 2018,
        arXiv:1703.07015.

    Example:
        >>> import numpy as np
        >>> days = np.arange(240)
        >>> demand = 20 + 5 * np.sin(2 * np.pi * days / 7) + 0.05 * days
        >>> model = Forecaster(horizon=7, seasonality="7", hidden_size=8, steps=20)
        >>> forecast = model.fit(demand).predict(horizon=10, levels=(80,))
        >>> forecast.mean.shape, forecast.columns()
        ((1, 10), ('id', 'time', 'mean', 'median', 'lower_80', 'upper_80'))
    """

    task = TASK

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803 (scikit-learn's name)
        """Train on series in memory.

        Args:
            X: the series.
            y: nothing; the target is a column of X.

        Raises:
            DataError, InputError: the series or a parameter cannot be used.
        """
        if y is not None:
            raise InputError("y: expected nothing, since the target is in X: a column of a table, or its only numbers.")
        return super().fit(X)

    def predict(
        self,
        X: Any = None,  # noqa: N803
        *,
        horizon: int | None = None,
        levels: tuple[float, ...] = (80, 95),
    ) -> Forecasts:
        """Forecast the steps after the end of each series; by default of those that it was fitted on.

        Args:
            X: other series, as for ``fit``.
            horizon: steps ahead, any number; by default those that were learnt.
            levels: percents of the intervals.

        Returns:
            ``mean``, ``median`` (S, N), ``interval(share)``, ``rows()`` and ``write(path)``.
        """
        run: ForecastRun = self._fitted()
        return run.predict(X, horizon=horizon, levels=levels)

    def backtest(
        self,
        X: Any = None,  # noqa: N803
        *,
        horizon: int | None = None,
        last: int | None = None,
        stride: int = 1,
    ) -> Scores:
        """The figures of a rolling backtest on X beside simple rules; see :meth:`ForecastRun.evaluate`.

        X may be left out only after ``load`` of a run that was trained on files.
        """
        run: ForecastRun = self._fitted()
        return run.evaluate(X, horizon=horizon, last=last, stride=stride)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:  # noqa: N803
        """Minus the mean absolute scaled error of the last horizon of each series of X: higher is better."""
        del y, sample_weight
        return -self.backtest(X).model["MASE"]

    def _open(self, folder: Path) -> ForecastRun:
        return ForecastRun(folder, cell=self.cell)
