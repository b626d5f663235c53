using RetrievalEngine.Compute;
using RetrievalEngine.Text;

namespace RetrievalEngine.Models;

/// <summary>A packed batch on the device.</summary>
/// <param name="TokenIds">[T] I32.</param>
/// <param name="PositionIds">[T] I32.</param>
/// <param name="TypeIds">[T] I32: segment of each token, 0 for single texts.</param>
/// <param name="CuSeqLens">[B+1] I32.</param>
/// <param name="MaxSeqLen">Length of the longest sequence.</param>
/// <param name="Shared">Rows [E], CuSeqLens [N+1] and Back [T] I32 of sequences that share beginnings; null where none do.</param>
internal sealed record BatchTensors(
    Tensor TokenIds, Tensor PositionIds, Tensor TypeIds, Tensor CuSeqLens, int MaxSeqLen, (Tensor Rows, Tensor CuSeqLens, Tensor Back)? Shared)
{
    /// <summary>Number of tokens T.</summary>
    public long Tokens => TokenIds.Shape[0];

    /// <summary>
    /// Uploads <paramref name="batch"/> into <paramref name="arena"/>. With a <paramref name="paddingId"/> positions are RoBERTa's: padding has its
    /// own id, other tokens count from
    /// the one after it.
    /// </summary>
    public static BatchTensors Upload(IBackend backend, PackedBatch batch, int? paddingId, Arena arena)
    {
        Tensor Put(int[] values)
        {
            Tensor tensor = arena.Allocate(new Shape(values.Length), DType.I32);
            backend.Upload<int>(values, tensor);
            return tensor;
        }

        int[] positions = paddingId is { } padding ? CountFrom(padding, batch) : batch.PositionIds;
        return new BatchTensors(Put(batch.TokenIds), Put(positions), Put(batch.TypeIds), Put(batch.CuSeqLens), batch.MaxSeqLen,
            batch.Shared is { } shared ? (Put(shared.Rows), Put(shared.CuSeqLens), Put(shared.Back)) : null);
    }

    private static int[] CountFrom(int padding, PackedBatch batch)
    {
        int[] positions = new int[batch.Tokens];
        for (int b = 0; b < batch.Sequences; b++)
        {
            int next = padding + 1;
            for (int t = batch.CuSeqLens[b]; t < batch.CuSeqLens[b + 1]; t++) positions[t] = batch.TokenIds[t] == padding ? padding : next++;
        }

        return positions;
    }
}
