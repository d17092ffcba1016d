"""Why an item has its score: for a training user, and for somebody with a history."""

from __future__ import annotations

from collections.abc import Iterable

from ltocf.serving.errors import RequestError
from ltocf.serving.explain import Explanation
from ltocf.serving.held import Held
from ltocf.serving.lists import Id, check_histories, histories_of, known_items


class Explaining(Held):
    """Scores taken apart."""

    def explain(self, user: Id, item: Id) -> Explanation:
        """Why ``item`` has its score for ``user``: what each item of their history adds to it.

        Raises:
            UnknownUserError, UnknownItemError: one of them was not in training, or the user has no history there.
            ValueError: the model's scores are not sums over a history; the error names the models whose are.
        """
        score_map = self.score_map
        index, target = self.index_with_history(user), int(known_items(self.names, [item])[0])
        history = self.history_of(index)
        contributions = score_map.contributions(history, target, index)
        return Explanation.of(self.names, index, target, contributions, history.items.tolist(), score_map.part_names)

    def explain_fold_in(self, history: Iterable[Id], item: Id) -> Explanation:
        """Why ``item`` has its score for somebody who was not in training, from what they touched.

        Args:
            history: the items of one user, the oldest first, as for `Snapshot.fold_in`.
            item: the item that is scored; it may be in the history.

        Returns:
            An explanation without a user or an embedding of their own; it sums to the score of `Snapshot.fold_in`.

        Raises:
            UnknownUserError: nothing of the history was in training.
            UnknownItemError: the item was not in training.
            ValueError: the model's scores are not sums over a history; the error names the models whose are.
        """
        score_map, target = self.score_map, int(known_items(self.names, [item])[0])
        if not score_map.depends_on_history:
            rule = f"the scores of `{self.name}` are not sums over a history"
            raise RequestError(rule, remedy="explain a user of training")
        users, rows = histories_of(self.names, [list(history)])
        check_histories(users, rows.lengths == 0)
        contributions = score_map.contributions(rows, target)
        return Explanation.of(self.names, None, target, contributions, rows.items.tolist(), score_map.part_names)
