using RetrievalEngine.Compute;
using RetrievalEngine.Text;

namespace RetrievalEngine.Models;

/// <summary>A packed batch on the device.</summary>
/// <param name="TokenIds">[T] I32.</param>
/// <param name="PositionIds">[T] I32.</param>
/// <param name="TypeIds">[T] I32: segment of each token, 0 for single texts.</param>
/// <param name="CuSeqLens">[B+1] I32.</param>
/// <param name="MaxSeqLen">Length of the longest sequence.</param>
internal sealed record BatchTensors(Tensor TokenIds, Tensor PositionIds, Tensor TypeIds, Tensor CuSeqLens, int MaxSeqLen)
{
    /// <summary>Number of tokens T.</summary>
    public long Tokens => TokenIds.Shape[0];

    /// <summary>Uploads <paramref name="batch"/> into <paramref name="arena"/>.</summary>
    public static BatchTensors Upload(IBackend backend, PackedBatch batch, Arena arena)
    {
        Tensor Put(int[] values)
        {
            Tensor tensor = arena.Allocate(new Shape(values.Length), DType.I32);
            backend.Upload<int>(values, tensor);
            return tensor;
        }

        return new BatchTensors(Put(batch.TokenIds), Put(batch.PositionIds), Put(batch.TypeIds), Put(batch.CuSeqLens), batch.MaxSeqLen);
    }
}
