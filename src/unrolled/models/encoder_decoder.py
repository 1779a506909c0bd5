"""The encoder-decoder: a sequence made of another, as a translation of a sentence."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..core import InputError, Tree, at_least_1, leaves, map_tree, valid_steps
from ..layers import Stack
from ..layers.linear import Linear
from .attention import ATTENTIONS, Attention
from .decoding import Hypothesis, Step, beam_search, greedy, sample, walk
from .decoding.walk import drawing, likeliest
from .dropout import Dropout
from .inputs import embedded
from .pooling import Pooling
from .tied import TiedLinear

TIES = ("none", "output", "all")
METHODS = ("beam", "greedy", "sample")


@dataclass(frozen=True)
class Encoded:
    """What an encoder read.

    Attributes:
        memory: its outputs m(s), (S, B, M), zeros in the padding.
        mask: (S, B), True = valid.
        state: the state of the decoder's layers before their first step, a tree of (B, ...).
        keys: what attention compares a query to, (S, B, F); None without attention.
    """

    memory: Tensor
    mask: Tensor
    state: Tree
    keys: Tensor | None

    def select(self, rows: Tensor) -> "Encoded":
        """These rows of the batch, each as often as it is named."""
        return Encoded(
            self.memory[:, rows],
            self.mask[:, rows],
            map_tree(lambda part: part[rows], self.state),
            None if self.keys is None else self.keys[:, rows],
        )


class EncoderDecoder(nn.Module):
    """A sequence of tokens y out of another x: an encoder reads x, a decoder makes y, looking at what was read.

    m(1) ... m(S) = encoder(x), layers of any cell, in both directions by default. v = m at each direction's last step.
    The decoder's layers start from s + W v + b, where s is their initial state, in every tensor of the state of any
    cell. They read y(t-1) and give h(t). Then

    - with attention c(t) = sum_s a(t, s) m(s) (see :class:`Attention`), u(t) = tanh(W_u [h(t); c(t)] + b_u);
    - ``attention="none"``: u(t) = h(t), and all that the decoder knows of x is v;

    and o(t) = V u(t) + c scores the token y(t).

    Attention is *outside* the loop unless ``input_feeding=True``: h(t) does not depend on c(t-1). So the layers run
    over all T steps in their compiled kernel, and attention, W_u and V are products of matrices over all T at once.
    With input feeding the decoder reads (y(t-1), u(t-1)): it knows where it has looked. Then attention feeds the
    state, and training goes step by step as well, several times slower.

    Args:
        source_size: number of tokens of x.
        cell: a factory ``(input_size) -> cell``, for the encoder and the decoder.
        target_size: number of tokens of y, V.
        embedding_size: features of a token's vector, on both sides.
        attention: ``"multiplicative"``, ``"additive"`` or ``"none"``.
        input_feeding: as above; needs attention.
        num_layers: recurrent layers of the encoder, and of the decoder.
        bidirectional: run the encoder's layers in both directions.
        dropout: probability of zeroing a feature of the embedded tokens, between layers, and before the output.
        residual: add a layer's input to its output where the sizes allow it.
        tie: ``"output"``: the output layer's weight is the target's embedding; ``"all"``: the source's embedding is
            the target's too, for one vocabulary of both. u(t) then has ``embedding_size`` features, as with input
            feeding; without attention u(t) = P h(t) where the layers' outputs have another size.
        backend: as in :func:`unrolled.unroll`.

    Shape:
        source (S, B) and inputs (T, B), tokens; scores (T, B, V); ``feature_size`` is the number of features of u(t).

    Raises:
        InputError: a size or an option is not as above.

    Reference:
        Sutskever et al. 2014, arXiv:1409.3215; Cho et al. 2014, arXiv:1406.1078; attention: Bahdanau et al. 2015,
        arXiv:1409.0473; after the loop, and input feeding: Luong et al. 2015, arXiv:1508.04025; ties: Press and Wolf
        2017, arXiv:1608.05859.

    Example:
        >>> import torch
        >>> from unrolled.cells import GRU
        >>> model = EncoderDecoder(50, lambda size: GRU(size, 16), 40, embedding_size=8)
        >>> source, target = torch.randint(50, (9, 4)), torch.randint(3, 40, (7, 4))
        >>> scores = model(source, target[:-1], lengths=[9, 5, 3, 1])  # of what target[1:] are
        >>> scores.shape
        torch.Size([6, 4, 40])
        >>> found = model.eval().translate(source, [9, 5, 3, 1], begin=1, end=2, max_length=12, beam_size=3)
        >>> len(found), found[0][0].attention.shape[1]
        (4, 9)
    """

    def __init__(
        self,
        source_size: int,
        cell: Callable[[int], nn.Module],
        target_size: int,
        *,
        embedding_size: int = 256,
        attention: str = "multiplicative",
        input_feeding: bool = False,
        num_layers: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.0,
        residual: bool = False,
        tie: str = "none",
        backend: str = "auto",
    ):
        super().__init__()
        source_size, target_size = at_least_1(source_size, "source_size"), at_least_1(target_size, "target_size")
        embedding_size = at_least_1(embedding_size, "embedding_size")
        if attention not in (*ATTENTIONS, "none"):
            raise InputError(f"attention: expected one of {', '.join((*ATTENTIONS, 'none'))}, got {attention!r}.")
        if tie not in TIES:
            raise InputError(f"tie: expected one of {', '.join(TIES)}, got {tie!r}.")
        if tie == "all" and source_size != target_size:
            raise InputError(f"tie: expected source_size = target_size for 'all', got {source_size} and {target_size}.")
        if input_feeding and attention == "none":
            raise InputError("input_feeding: expected an attention whose result is fed, got attention='none'.")
        self.tie = tie
        self.input_feeding = input_feeding
        self.target_embedding = nn.Embedding(target_size, embedding_size)
        self.source_embedding = None if tie == "all" else nn.Embedding(source_size, embedding_size)  # None: the other
        self.dropout = Dropout(dropout)
        options: dict[str, Any] = {"dropout": dropout, "residual": residual, "backend": backend}
        self.encoder = Stack(cell, embedding_size, num_layers, bidirectional=bidirectional, **options)
        assert self.encoder.output_size is not None  # known of a stack that a factory made
        memory_size = self.encoder.output_size
        fed = embedding_size if input_feeding else 0
        self.decoder = Stack(cell, embedding_size + fed, num_layers, **options)
        assert self.decoder.output_size is not None
        hidden_size = self.decoder.output_size
        self.feature_size = embedding_size if input_feeding or tie != "none" else hidden_size
        self.last = Pooling("last", memory_size, bidirectional=bidirectional)
        with torch.no_grad(), torch.random.fork_rng(devices=[]):  # an initial state may be drawn
            begun = leaves(self.decoder.initial_state(1))
        self._sizes = [part.numel() for part in begun if part.is_floating_point()]
        self.bridge = Linear(memory_size, sum(self._sizes))
        self.attend: Attention | None = None
        self.combine: Linear | None = None  # what the layers and attention found, to what the output layer reads
        if attention != "none":
            self.attend = Attention(attention, hidden_size, memory_size)
            self.combine = Linear(hidden_size + memory_size, self.feature_size)
        elif self.feature_size != hidden_size:
            self.combine = Linear(hidden_size, self.feature_size, bias=False)
        self.output: Linear | TiedLinear
        if tie == "none":
            self.output = Linear(self.feature_size, target_size)
        else:
            bound = embedding_size**-0.5
            nn.init.uniform_(self.target_embedding.weight, -bound, bound)  # an output's way
            self.output = TiedLinear(self.target_embedding)

    def encode(self, source: Tensor, lengths: Any = None) -> Encoded:
        """What the encoder reads in tokens (S, B); a row of length 0 gives a state of its own and nothing to look at.

        Args:
            source: x; what stands in its padding changes nothing.
            lengths: valid steps of each row (B,), 0 allowed.

        Raises:
            InputError, InputTypeError: an argument is not as above.
        """
        if source.dim() != 2 or not len(source):
            raise InputError(f"source: expected tokens (S, B) with at least one step, got {tuple(source.shape)}.")
        embedding = self.target_embedding if self.source_embedding is None else self.source_embedding
        read, valid = embedded(embedding, source, lengths=lengths)
        memory, _ = self.encoder(self.dropout(read), mask=valid)
        moves = iter(self.bridge(self.last(memory, valid)).split(self._sizes, -1))

        def moved(part: Tensor) -> Tensor:
            return part + next(moves).reshape(part.shape).to(part.dtype) if part.is_floating_point() else part

        state = map_tree(moved, self.decoder.initial_state(source.shape[1]))
        mask = torch.ones_like(source, dtype=torch.bool) if valid is None else valid
        return Encoded(memory, mask, state, None if self.attend is None else self.attend.keys(memory))

    def start(self, encoded: Encoded) -> Tree:
        """The state before the first step of :meth:`step`: that of the layers, with input feeding u too, of zeros."""
        if not self.input_feeding:
            return encoded.state
        return encoded.state, encoded.memory.new_zeros(encoded.memory.shape[1], self.feature_size)

    def step(self, inputs: Tensor, state: Tree, encoded: Encoded) -> tuple[Tensor, Tree, Tensor | None]:
        """One time step: tokens y(t-1), the scores o(t), the state after it, and the attention.

        Args:
            inputs: (N,), where N is B or a multiple of it: the rows that read the same source stand side by side.
            state: of so many rows, before the step.
            encoded: of B rows.

        Returns:
            Scores (N, V), the state to be passed to the next step, attention (N, S) or None.
        """
        hidden, state, attention = self._step(inputs, state, encoded)
        return self.output(hidden), state, attention

    def forward(
        self,
        source: Tensor,
        inputs: Tensor,
        lengths: Any = None,
        *,
        target_lengths: Any = None,
        teacher_forcing_ratio: float = 1.0,
    ) -> Tensor:
        """The scores o(t) (T, B, V), each given all inputs until then; in the padding they are c.

        Args:
            source: x (S, B).
            inputs: y(t-1) for each t (T, B): the token that begins, and the target but for its last.
            lengths: valid steps of each row of the source (B,).
            target_lengths: valid steps of each row of the inputs (B,).
            teacher_forcing_ratio: the probability of reading the true token; otherwise, drawn for each row and step
                from torch's own random numbers, the token that the model scored highest at the step before is read.
                The first step always reads its input. Below 1 the steps are computed one by one. How the ratio
                falls in the course of training is up to the caller (Bengio et al. 2015, arXiv:1506.03099).

        Raises:
            InputError, InputTypeError: an argument is not as above.
        """
        return self.output(
            self.features(
                source,
                inputs,
                lengths,
                target_lengths=target_lengths,
                teacher_forcing_ratio=teacher_forcing_ratio,
            )
        )

    def features(
        self,
        source: Tensor,
        inputs: Tensor,
        lengths: Any = None,
        *,
        target_lengths: Any = None,
        teacher_forcing_ratio: float = 1.0,
    ) -> Tensor:
        """What the output layer reads, u(t) after dropout (T, B, F), zeros in the padding; as :meth:`forward`."""
        if not 0 <= teacher_forcing_ratio <= 1:
            raise InputError(f"teacher_forcing_ratio: expected a number from 0 to 1, got {teacher_forcing_ratio!r}.")
        encoded = self.encode(source, lengths)
        hidden, _, valid = self._run(encoded, inputs, target_lengths, teacher_forcing_ratio)
        return hidden if valid is None else hidden.masked_fill(~valid.unsqueeze(-1), 0)

    def attention(self, source: Tensor, inputs: Tensor, lengths: Any = None, *, target_lengths: Any = None) -> Tensor:
        """Where each step looks under teacher forcing, a(t, s) (T, B, S).

        Raises:
            InputError: the model has no attention; and as :meth:`forward`.
        """
        if self.attend is None:
            raise InputError("attention: expected a model with attention, got one with attention='none'.")
        _, weights, _ = self._run(self.encode(source, lengths), inputs, target_lengths, 1.0)
        assert weights is not None
        return weights

    def _run(
        self, encoded: Encoded, inputs: Tensor, lengths: Any, ratio: float
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """U of all steps, the attention, and which steps are valid."""
        batch_size = encoded.mask.shape[1]
        if inputs.dim() != 2 or inputs.shape[1] != batch_size:
            raise InputError(f"inputs: expected tokens (T, B) with B = {batch_size}, got {tuple(inputs.shape)}.")
        if ratio == 1 and not self.input_feeding:
            read, valid = embedded(self.target_embedding, inputs, lengths=lengths)
            hidden, _ = self.decoder(self.dropout(read), encoded.state, mask=valid)
            return *self._look(hidden, encoded), valid
        valid = valid_steps(*inputs.shape, lengths=lengths, device=inputs.device)
        if valid is not None:
            inputs = inputs.masked_fill(~valid, 0)  # it may be no token
        forced = None if ratio == 1 else torch.rand(inputs.shape, device=inputs.device) < ratio
        state, made, looks = self.start(encoded), [], []
        for t, tokens in enumerate(inputs):
            if t and forced is not None:
                with torch.no_grad():
                    tokens = torch.where(forced[t], tokens, self.output(made[-1]).argmax(-1))
            hidden, state, attention = self._step(tokens, state, encoded)
            made.append(hidden)
            looks.append(attention)
        if not made:
            return encoded.memory.new_zeros(0, batch_size, self.feature_size), None, valid
        return torch.stack(made), None if looks[0] is None else torch.stack(looks), valid

    def _step(self, inputs: Tensor, state: Tree, encoded: Encoded) -> tuple[Tensor, Tree, Tensor | None]:
        """U of one step, the state after it, and the attention; arguments as of :meth:`step`."""
        read = self.dropout(self.target_embedding(inputs))
        if self.input_feeding:
            state, fed = state
            read = torch.cat([read, fed], -1)
        hidden, state = self.decoder.step(read, state)
        batch_size = encoded.mask.shape[1]
        beams = hidden.view(batch_size, -1, hidden.shape[-1]).transpose(0, 1)  # of one source, as if they were steps
        features, attention = self._look(beams, encoded)
        features = features.transpose(0, 1).reshape(len(inputs), -1)
        if attention is not None:
            attention = attention.transpose(0, 1).reshape(len(inputs), -1)
        return features, ((state, features) if self.input_feeding else state), attention

    def _look(self, hidden: Tensor, encoded: Encoded) -> tuple[Tensor, Tensor | None]:
        """U of the layers' outputs (T, B, H), after dropout, and the attention."""
        weights = None
        if self.attend is not None:
            context, weights = self.attend(hidden, encoded.keys, encoded.memory, encoded.mask)
            hidden = torch.tanh(self.combine(torch.cat([hidden, context], -1)))
        elif self.combine is not None:
            hidden = self.combine(hidden)
        return self.dropout(hidden), weights

    @torch.no_grad()
    def translate(
        self,
        source: Tensor,
        lengths: Any = None,
        *,
        begin: int,
        end: int,
        max_length: int | Tensor,
        method: str = "beam",
        **options: Any,
    ) -> list[list[Hypothesis]]:
        """The sequences that are found for each row of the source, best first. Call ``eval()`` first.

        Args:
            source: x (S, B).
            lengths: valid steps of each row (B,).
            begin: the token that the first step reads.
            end: the token that ends a sequence.
            max_length: the most steps of a row, that of the end among them; one number, or one for each row (B,).
            method: ``"beam"``, ``"greedy"`` or ``"sample"``.
            options: of :func:`~unrolled.models.decoding.beam_search` (``beam_size``, ``n_best``, ``length_penalty``,
                ``no_repeat_ngram``, ``forbidden``), :func:`~unrolled.models.decoding.greedy` or
                :func:`~unrolled.models.decoding.sample` (``temperature``, ``top_k``, ``top_p``, ``seed``).

        Returns:
            Of each row a list of hypotheses: tokens, score and attention (tokens, S). Greedy search and sampling give
            one.

        Raises:
            InputError, InputTypeError: an argument is not as above.
        """
        if method not in METHODS:
            raise InputError(f"method: expected one of {', '.join(METHODS)}, got {method!r}.")
        step, state, first = self._decoding(self.encode(source, lengths), begin)
        options = {"end": end, "max_length": max_length, **options}
        if method == "beam":
            return beam_search(step, state, first, **options)
        found = (greedy if method == "greedy" else sample)(step, state, first, **options)
        return [[hypothesis] for hypothesis in found]

    @torch.no_grad()
    def stream(
        self, source: Tensor, *, begin: int, end: int, max_length: int, method: str = "greedy", **options: Any
    ) -> Iterator[int]:
        """The tokens of one sequence as they come, without the end; options as of :meth:`translate`.

        Args:
            source: x of one row, (S,) or (S, 1).
            begin: the token that the first step reads.
            end: the token that ends a sequence.
            max_length: the most steps, that of the end among them.
            method: ``"greedy"`` or ``"sample"``.
            options: as of :meth:`translate`.
        """
        if method not in ("greedy", "sample"):
            raise InputError(f"method: expected greedy or sample, got {method!r}; a beam knows its tokens at the end.")
        source = source.unsqueeze(1) if source.dim() == 1 else source
        if source.dim() != 2 or source.shape[1] != 1:
            raise InputError(f"source: expected tokens of one row (S,), got {tuple(source.shape)}.")
        choose = likeliest
        if method == "sample":
            names = ("temperature", "top_k", "top_p", "seed")
            drawn = {name: options.pop(name) for name in names if name in options}
            choose = drawing(source.device, **drawn)
        step, state, first = self._decoding(self.encode(source), begin)
        for _, tokens, _, _ in walk(step, state, first, choose, end=end, max_length=max_length, **options):
            if int(tokens) != end:
                yield int(tokens)

    def _decoding(self, encoded: Encoded, begin: int) -> tuple[Step, Tree, Tensor]:
        """The step that decoding calls, the state before it with the place of each row's source, the first tokens."""
        batch_size = encoded.mask.shape[1]
        whole, places = encoded, torch.arange(batch_size, device=encoded.mask.device)
        kept = [encoded, places]  # of the rows that are not over

        def step(tokens: Tensor, state: Tree) -> tuple[Tensor, Tree, Tensor | None]:
            state, places = state
            rows = places.unique_consecutive()
            if len(rows) < len(kept[1]):
                kept[:] = [whole.select(rows), rows]
            scores, state, attention = self.step(tokens, state, kept[0])
            found = (scores.log_softmax(-1), (state, places))
            return found if attention is None else (*found, attention)

        return step, (self.start(encoded), places), torch.full_like(places, begin)
