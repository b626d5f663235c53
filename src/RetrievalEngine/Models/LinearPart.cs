using RetrievalEngine.Compute;

namespace RetrievalEngine.Models;

/// <summary>
/// Some outputs of a linear map: all, or those of one of the maps that a checkpoint stores in one matrix (ModernBERT's q, k and v). The parts share
/// the adapter's A.
/// </summary>
internal readonly record struct LinearPart(Linear Linear, long First, long Outputs)
{
    /// <summary>The weights as the backend takes them.</summary>
    public Projection Projection => new(
        Rows(Linear.Weight.Value), Rows(Linear.Bias?.Value ?? default), Linear.Lora?.A.Value ?? default, Rows(Linear.Lora?.B.Value ?? default), Linear.Lora?.Scale ?? 0);

    /// <summary>The gradients as the backend takes them.</summary>
    public ProjectionGradient Gradient => new(
        Rows(Linear.Weight.Gradient), Rows(Linear.Bias?.Gradient ?? default), Linear.Lora?.A.Gradient ?? default, Rows(Linear.Lora?.B.Gradient ?? default));

    /// <summary>All outputs.</summary>
    public static implicit operator LinearPart(Linear linear) => new(linear, 0, linear.Outputs);

    private Tensor Rows(Tensor tensor) => tensor.IsEmpty ? tensor : tensor.Slice(First, Outputs);
}
