using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda;

public sealed unsafe partial class CudaBackend
{
    /// <inheritdoc/>
    public void CrossEntropy(Tensor scores, Tensor targets, Tensor excluded, float gradientScale, Tensor losses, Tensor dscores)
    {
        (long groups, long candidates) = OpChecks.CrossEntropy(scores, targets, excluded, losses, dscores);
        if (groups == 0) return;
        int threads = ThreadsPerRow(candidates, DType.F32);
        Launch("crossentropy", "crossentropy_f32", RowGrid(groups, threads), RowThreads, 0,
            [scores, targets, excluded, gradientScale / groups, losses, dscores, groups, (int)candidates, threads]);
    }
}
