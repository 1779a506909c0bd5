"""The encoder-decoder: a sequence made of another, as a translation of a sentence."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ..core import InputError, InputTypeError, Tree, at_least_1
from ..layers import Stack
from ..layers.linear import Linear
from .attention import ATTENTIONS
from .decoder import Decoder
from .decoding import Hypothesis
from .dropout import Dropout
from .encoded import Encoded
from .inputs import embedded
from .pooling import Pooling
from .tied import TiedLinear
from .translating import check_method, stream, translate

TIES = ("none", "output", "all")


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
    state, and training goes step by step as well, which is slower.

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
        target_embedding = nn.Embedding(target_size, embedding_size)
        self.source_embedding = None if tie == "all" else nn.Embedding(source_size, embedding_size)  # None: the other
        self.dropout = Dropout(dropout)
        options: Any = {"num_layers": num_layers, "dropout": dropout, "residual": residual, "backend": backend}
        self.encoder = Stack(cell, embedding_size, bidirectional=bidirectional, **options)
        assert self.encoder.output_size is not None  # known of a stack that a factory made
        memory_size = self.encoder.output_size
        self.last = Pooling("last", memory_size, bidirectional=bidirectional)
        options.update(attention=attention, input_feeding=input_feeding, shrink=tie != "none")
        self.decoder = Decoder(target_embedding, cell, memory_size, **options)
        self.feature_size = self.decoder.feature_size
        self.output: Linear | TiedLinear
        if tie == "none":
            self.output = Linear(self.feature_size, target_size)
        else:
            bound = embedding_size**-0.5
            nn.init.uniform_(target_embedding.weight, -bound, bound)  # an output's way
            self.output = TiedLinear(target_embedding)

    def encode(self, source: Tensor, lengths: Any = None) -> Encoded:
        """What the encoder reads in tokens (S, B); a row of length 0 gives a state of its own and nothing to look at.

        Args:
            source: x; what stands in its padding changes nothing.
            lengths: valid steps of each row (B,), 0 allowed.

        Raises:
            InputError, InputTypeError: an argument is not as above.
        """
        if not isinstance(source, Tensor):
            raise InputTypeError(f"source: expected a tensor of tokens (S, B), got {type(source).__name__}.")
        if source.dim() != 2 or not len(source):
            raise InputError(f"source: expected tokens (S, B) with at least one step, got {tuple(source.shape)}.")
        embedding = self.decoder.embedding if self.source_embedding is None else self.source_embedding
        read, valid = embedded(embedding, source, lengths=lengths, name="source")
        memory, _ = self.encoder(self.dropout(read), mask=valid)
        mask = torch.ones_like(source, dtype=torch.bool) if valid is None else valid
        return self.decoder.reads(memory, mask, self.last(memory, valid))

    def start(self, encoded: Encoded) -> Tree:
        """The state before the first step of :meth:`step`: that of the layers, with input feeding u too, of zeros."""
        return self.decoder.start(encoded)

    def step(self, inputs: Tensor, state: Tree, encoded: Encoded) -> tuple[Tensor, Tree, Tensor | None]:
        """One time step: tokens y(t-1), the scores o(t), the state after it, and the attention.

        Args:
            inputs: (N,), where N is B or a multiple of it: the rows that read the same source stand side by side.
            state: of so many rows, before the step.
            encoded: of B rows.

        Returns:
            Scores (N, V), the state to be passed to the next step, attention (N, S) or None.
        """
        hidden, state, attention = self.decoder.step(inputs, state, encoded)
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
        hidden = self.features(
            source, inputs, lengths, target_lengths=target_lengths, teacher_forcing_ratio=teacher_forcing_ratio
        )
        scores: Tensor = self.output(hidden)
        return scores

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
        made: tuple[Tensor, Tensor | None] = self.decoder(
            encoded, inputs, target_lengths, self._guess, teacher_forcing_ratio
        )
        return made[0]

    def _guess(self, hidden: Tensor) -> Tensor:
        """The likeliest tokens (B,), of u (B, F)."""
        scores: Tensor = self.output(hidden)
        return scores.argmax(-1)

    def attention(self, source: Tensor, inputs: Tensor, lengths: Any = None, *, target_lengths: Any = None) -> Tensor:
        """Where each step looks under teacher forcing, a(t, s) (T, B, S), zeros in both paddings.

        Raises:
            InputError: the model has no attention; and as :meth:`forward`.
        """
        weights: Tensor | None = self.decoder(self.encode(source, lengths), inputs, target_lengths)[1]
        if weights is None:
            raise InputError("attention: expected a model with attention, got one with attention='none'.")
        return weights

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
        options = {"end": end, "max_length": max_length, **options}
        with torch.no_grad():
            encoded = self.encode(source, lengths)
        return translate(self, encoded, begin, method, options)

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
        check_method(method, options, ("greedy", "sample"))  # a beam knows its tokens at the end
        source = source.unsqueeze(1) if source.dim() == 1 else source
        if source.dim() != 2 or source.shape[1] != 1:
            raise InputError(f"source: expected tokens of one row (S,), got {tuple(source.shape)}.")
        with torch.no_grad():
            encoded = self.encode(source)
        return stream(self, encoded, begin, method, {"end": end, "max_length": max_length, **options})
