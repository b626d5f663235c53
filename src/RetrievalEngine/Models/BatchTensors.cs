using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using RetrievalEngine.Compute;
using RetrievalEngine.Text;

namespace RetrievalEngine.Models;

/// <summary>A packed batch on the device.</summary>
/// <param name="TokenIds">[T] I32.</param>
/// <param name="PositionIds">[T] I32.</param>
/// <param name="TypeIds">[T] I32: segment of each token, 0 for single texts.</param>
/// <param name="CuSeqLens">[B+1] I32.</param>
/// <param name="MaxSeqLen">Length of the longest sequence.</param>
/// <param name="Offsets">The offsets of the sequences that attention sees, on the host: those of Shared where there are such, else CuSeqLens.</param>
/// <param name="Training">Whether a backward pass will follow.</param>
/// <param name="Shared">Rows [E], CuSeqLens [N+1] and Back [T] I32 of sequences that share beginnings; null where none do.</param>
internal sealed record BatchTensors(
    Tensor TokenIds, Tensor PositionIds, Tensor TypeIds, Tensor CuSeqLens, int MaxSeqLen, int[] Offsets, bool Training,
    (Tensor Rows, Tensor CuSeqLens, Tensor Back)? Shared)
{
    /// <summary>Number of tokens T.</summary>
    public long Tokens => TokenIds.Shape[0];

    // Elements to whose multiples each part of the upload is aligned.
    private const int Alignment = 64;

    /// <summary>
    /// Uploads <paramref name="batches"/>, and <paramref name="rest"/> into <paramref name="restOnDevice"/> [bytes] I8, all of it in one copy. They lie in
    /// <paramref name="arena"/>. With a <paramref name="paddingId"/> positions are RoBERTa's: padding has its own id, other tokens count from the one after it.
    /// </summary>
    public static BatchTensors[] Upload(IBackend backend, IReadOnlyList<PackedBatch> batches, int? paddingId, bool training, Arena arena, ReadOnlySpan<byte> rest,
        out Tensor restOnDevice)
    {
        List<int[]> parts = [];
        foreach (PackedBatch batch in batches)
        {
            parts.AddRange([batch.TokenIds, paddingId is { } padding ? CountFrom(padding, batch) : batch.PositionIds, batch.TypeIds, batch.CuSeqLens]);
            if (batch.Shared is { } shared) parts.AddRange([shared.Rows, shared.CuSeqLens, shared.Back]);
        }

        int[] starts = new int[parts.Count + 1];
        for (int i = 0; i < parts.Count; i++) starts[i + 1] = starts[i] + (parts[i].Length + Alignment - 1) / Alignment * Alignment;
        int[] all = new int[starts[^1] + (rest.Length + sizeof(int) - 1) / sizeof(int)];
        for (int i = 0; i < parts.Count; i++) parts[i].CopyTo(all, starts[i]);
        rest.CopyTo(MemoryMarshal.AsBytes(all.AsSpan(starts[^1])));
        Tensor tensor = arena.Allocate(new Shape(all.Length), DType.I32);
        backend.Upload<int>(all, tensor);
        restOnDevice = tensor.View(starts[^1] * sizeof(int), new Shape(rest.Length), DType.I8);
        int next = 0;
        Tensor Part() => tensor.Slice(starts[next], parts[next++].Length);
        return [.. batches.Select(batch => new BatchTensors(Part(), Part(), Part(), Part(), batch.MaxSeqLen, batch.Shared?.CuSeqLens ?? batch.CuSeqLens, training,
            batch.Shared is null ? null : (Part(), Part(), Part())))];
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
