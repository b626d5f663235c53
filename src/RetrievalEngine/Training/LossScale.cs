using RetrievalEngine.Compute;

namespace RetrievalEngine.Training;

/// <summary>
/// A factor on the loss that keeps small gradients out of float16's lowest numbers (Micikevicius et al. 2018). It goes as PyTorch's GradScaler: from 2^16,
/// halved where a gradient overflowed, doubled after 2,000 steps in a row that did not; but a step that overflowed is done again, not left out. 1 and
/// constant where activations have the range of float32.
/// </summary>
internal sealed class LossScale(DType activations)
{
    private const int StepsToGrowth = 2000;

    /// <summary>The factor, a power of two.</summary>
    public float Value { get; private set; } = activations == DType.F16 ? 65536 : 1;

    /// <summary>Whether it changes.</summary>
    public bool IsDynamic => activations == DType.F16;

    /// <summary>Factor and steps since it changed, for a checkpoint.</summary>
    public float[] State
    {
        get => [Value, GoodSteps];
        set => (Value, GoodSteps) = (value[0], (int)value[1]);
    }

    private int GoodSteps { get; set; }

    /// <summary>
    /// Whether a step whose gradients' norm is <paramref name="norm"/> counts; where not, the factor is smaller now. At 1 every step counts: then it is not
    /// the factor that makes gradients overflow.
    /// </summary>
    public bool Accept(float norm)
    {
        if (!IsDynamic) return true;
        if (!float.IsFinite(norm) && Value > 1)
        {
            (Value, GoodSteps) = (Value / 2, 0);
            return false;
        }

        if (++GoodSteps == StepsToGrowth) (Value, GoodSteps) = (Value * 2, 0);
        return true;
    }
}
