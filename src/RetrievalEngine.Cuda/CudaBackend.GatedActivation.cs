using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda;

public sealed unsafe partial class CudaBackend
{
    /// <inheritdoc/>
    public void GatedActivationForward(Tensor gate, Tensor up, Activation activation, Tensor y)
    {
        OpChecks.GatedActivationForward(gate, up, activation, y);
        if (gate.Count == 0) return;
        Launch("elementwise", $"gated_activation_forward_{Suffix(gate.DType)}", ElementGrid(gate.Count), ElementThreads, 0,
            [(int)activation, gate, up, y, gate.Count, Head(gate, up, y)]);
    }

    /// <inheritdoc/>
    public void GatedActivationBackward(Tensor dy, Tensor gate, Tensor up, Activation activation, Tensor dgate, Tensor dup)
    {
        OpChecks.GatedActivationBackward(dy, gate, up, activation, dgate, dup);
        if (gate.Count == 0) return;
        Launch("elementwise", $"gated_activation_backward_{Suffix(gate.DType)}", ElementGrid(gate.Count), ElementThreads, 0,
            [(int)activation, dy, gate, up, dgate, dup, gate.Count, Head(dy, gate, up, dgate, dup)]);
    }
}
