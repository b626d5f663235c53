using System;
using System.Collections.Generic;
using RetrievalEngine.Checkpoints;

namespace RetrievalEngine.Verification;

/// <summary>Packed token sequences in a safetensors file.</summary>
internal static class Sequences
{
    /// <summary>Splits <paramref name="ids"/> [T] at <paramref name="cuSeqLens"/> [B+1].</summary>
    public static List<int[]> Read(SafeTensorsFile file, string ids, string cuSeqLens)
    {
        long[] tokens = file.ReadInt64(ids), bounds = file.ReadInt64(cuSeqLens);
        List<int[]> sequences = [];
        for (int b = 0; b + 1 < bounds.Length; b++)
        {
            if (bounds[b] < 0 || bounds[b + 1] < bounds[b] || bounds[b + 1] > tokens.Length) throw new InputException($"{file.Path}: {cuSeqLens} does not fit {ids}");
            sequences.Add(Array.ConvertAll(tokens[(int)bounds[b]..(int)bounds[b + 1]], id => checked((int)id)));
        }

        return sequences;
    }
}
