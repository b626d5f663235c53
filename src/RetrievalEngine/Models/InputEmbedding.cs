using RetrievalEngine.Compute;

namespace RetrievalEngine.Models;

/// <summary>Token ids to the first hidden states: word vectors, with learned positions, segment vectors and a norm where the family has them (BERT).</summary>
internal sealed class InputEmbedding(IBackend backend, Parameter words, float scale, Parameter? positions, Parameter? types, Norm? norm)
{
    /// <summary>Rows of the word table.</summary>
    public long VocabSize => words.Value.Shape[0];

    /// <summary>RoBERTa: the id of padding, from which positions are counted.</summary>
    public int? PaddingId { get; init; }

    /// <summary>Whether backward has anything to do.</summary>
    public bool IsTrained => words.IsTrained || (norm?.Weight.IsTrained ?? false);

    /// <summary>Writes y [T, H].</summary>
    public Saved Forward(BatchTensors batch, Tensor y, Arena arena)
    {
        Tensor sum = norm is null ? y : arena.Allocate(y.Shape, backend.ActivationDType);
        backend.EmbeddingForward(words.Value, batch.TokenIds, scale, sum, accumulate: false);
        if (positions is not null) backend.EmbeddingForward(positions.Value, batch.PositionIds, 1, sum, accumulate: true);
        if (types is not null) backend.EmbeddingForward(types.Value, batch.TypeIds, 1, sum, accumulate: true);
        return norm is null ? default : new Saved(norm.Forward(sum, residual: default, sum: default, y, arena));
    }

    /// <summary>Adds the tables' gradients; d [T, H] is overwritten.</summary>
    public void Backward(Tensor d, BatchTensors batch, Saved saved)
    {
        if (!IsTrained) return;
        norm?.Backward(d, saved.Norm, d, accumulate: false);
        if (words.IsTrained) backend.EmbeddingBackward(d, batch.TokenIds, scale, words.Gradient);
        if (positions is { IsTrained: true }) backend.EmbeddingBackward(d, batch.PositionIds, 1, positions.Gradient);
        if (types is { IsTrained: true }) backend.EmbeddingBackward(d, batch.TypeIds, 1, types.Gradient);
    }

    /// <summary>What backward needs.</summary>
    internal readonly record struct Saved(Norm.Saved Norm);
}
