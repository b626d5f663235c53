using System;
using System.Collections.Generic;

namespace RetrievalEngine.Text;

/// <summary>Token sequences laid end to end, never padded: the only contract between text and model.</summary>
/// <param name="TokenIds">[T] ids of all sequences, one after another.</param>
/// <param name="PositionIds">[T] 0, 1, … within each sequence.</param>
/// <param name="TypeIds">[T] segment of each token (BERT's pairs); 0 for single texts.</param>
/// <param name="CuSeqLens">[B+1] sequence b is tokens CuSeqLens[b] to CuSeqLens[b+1].</param>
/// <param name="MaxSeqLen">Length of the longest sequence.</param>
public sealed record PackedBatch(int[] TokenIds, int[] PositionIds, int[] TypeIds, int[] CuSeqLens, int MaxSeqLen)
{
    /// <summary>Number of sequences B.</summary>
    public int Sequences => CuSeqLens.Length - 1;

    /// <summary>Number of tokens T.</summary>
    public int Tokens => TokenIds.Length;

    /// <summary>Set where sequences begin with rows that they share; null where every sequence stands whole and for itself.</summary>
    public SharedPrefixes? Shared { get; init; }

    /// <summary>Packs <paramref name="sequences"/> in their order, with the segments in <paramref name="types"/> (none: all 0).</summary>
    public static PackedBatch Pack(IReadOnlyList<int[]> sequences, IReadOnlyList<int[]>? types = null)
    {
        ArgumentNullException.ThrowIfNull(sequences);
        int[] cuSeqLens = new int[sequences.Count + 1];
        int longest = 0;
        for (int b = 0; b < sequences.Count; b++)
        {
            longest = Math.Max(longest, sequences[b].Length);
            cuSeqLens[b + 1] = checked(cuSeqLens[b] + sequences[b].Length);
        }

        int[] ids = new int[cuSeqLens[^1]], positions = new int[cuSeqLens[^1]], segments = new int[cuSeqLens[^1]];
        for (int b = 0; b < sequences.Count; b++)
        {
            sequences[b].CopyTo(ids, cuSeqLens[b]);
            types?[b].CopyTo(segments, cuSeqLens[b]);
            for (int i = 0; i < sequences[b].Length; i++) positions[cuSeqLens[b] + i] = i;
        }

        return new PackedBatch(ids, positions, segments, cuSeqLens, longest);
    }
}
