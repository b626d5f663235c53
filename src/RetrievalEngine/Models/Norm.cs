using RetrievalEngine.Compute;

namespace RetrievalEngine.Models;

/// <summary>RMSNorm, or LayerNorm where <paramref name="isRms"/> is false.</summary>
internal sealed class Norm(IBackend backend, bool isRms, Parameter weight, Parameter? bias, float eps, float weightOffset)
{
    /// <summary>Scale [H].</summary>
    public Parameter Weight => weight;

    /// <summary>Shift [H], of LayerNorm only.</summary>
    public Parameter? Bias => bias;

    /// <summary>y = norm(x + residual); the sum goes to <paramref name="sum"/>. <paramref name="residual"/> and <paramref name="sum"/> may be none.</summary>
    public Saved Forward(Tensor x, Tensor residual, Tensor sum, Tensor y, Arena arena)
    {
        Tensor rstd = arena.Allocate(new Shape(x.Shape[0]));
        Tensor mean = isRms ? default : arena.Allocate(new Shape(x.Shape[0]));
        if (isRms) backend.RmsNormForward(x, residual, weight.Value, weightOffset, eps, sum, y, rstd);
        else backend.LayerNormForward(x, residual, weight.Value, bias?.Value ?? default, eps, sum, y, mean, rstd);
        return new Saved(residual.IsEmpty ? x : sum, mean, rstd);
    }

    /// <summary>dx from dy, added to dx when <paramref name="accumulate"/>.</summary>
    public void Backward(Tensor dy, Saved saved, Tensor dx, bool accumulate)
    {
        if (isRms) backend.RmsNormBackward(dy, saved.X, weight.Value, weightOffset, saved.Rstd, dx, accumulate, weight.Gradient);
        else backend.LayerNormBackward(dy, saved.X, weight.Value, saved.Mean, saved.Rstd, dx, accumulate, weight.Gradient, bias?.Gradient ?? default);
    }

    /// <summary>What backward needs: the input as it was normalised, and its statistics.</summary>
    internal readonly record struct Saved(Tensor X, Tensor Mean, Tensor Rstd);
}
