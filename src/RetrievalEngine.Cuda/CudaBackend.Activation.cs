using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda;

public sealed unsafe partial class CudaBackend
{
    /// <inheritdoc/>
    public void ActivationForward(Tensor x, Activation activation, Tensor y)
    {
        OpChecks.ActivationForward(x, activation, y);
        if (x.Count == 0) return;
        Launch("elementwise", $"activation_forward_{Suffix(x.DType)}", ElementGrid(x.Count), ElementThreads, 0,
            [(int)activation, x, y, x.Count, Head(x, y)]);
    }

    /// <inheritdoc/>
    public void ActivationBackward(Tensor dy, Tensor x, Activation activation, Tensor dx)
    {
        OpChecks.ActivationBackward(dy, x, activation, dx);
        if (x.Count == 0) return;
        Launch("elementwise", $"activation_backward_{Suffix(x.DType)}", ElementGrid(x.Count), ElementThreads, 0,
            [(int)activation, dy, x, dx, x.Count, Head(dy, x, dx)]);
    }
}
