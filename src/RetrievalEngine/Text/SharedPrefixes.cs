using System;
using System.Collections.Generic;

namespace RetrievalEngine.Text;

/// <summary>
/// How sequences that begin alike are put together from rows that are there once: a causal model computes the common beginning of a group once and each
/// sequence's own end; attention alone sees the sequences whole.
/// </summary>
/// <param name="Rows">[E] the packed tokens of each whole sequence, one sequence after another.</param>
/// <param name="CuSeqLens">[N+1] sequence n is Rows[CuSeqLens[n]] to Rows[CuSeqLens[n+1]].</param>
/// <param name="Back">[T] where each packed token stands in <paramref name="Rows"/>; a shared one in its first sequence.</param>
public sealed record SharedPrefixes(int[] Rows, int[] CuSeqLens, int[] Back)
{
    /// <summary>
    /// Packs <paramref name="groups"/> of sequences: of each group the tokens that all have in common at the beginning (at least one of each is left out of
    /// that), then what is each one's own. The batch's sequences are these pieces: <paramref name="ends"/> tells the piece that each sequence, in the order
    /// given, ends with.
    /// </summary>
    public static PackedBatch Pack(IReadOnlyList<IReadOnlyList<int[]>> groups, out int[] ends)
    {
        ArgumentNullException.ThrowIfNull(groups);
        List<int> ids = [], positions = [], pieces = [0], rows = [], back = [], whole = [0], last = [];
        int longest = 0;
        foreach (IReadOnlyList<int[]> group in groups)
        {
            int common = group.Count > 1 ? Common(group) : 0, start = ids.Count;
            Append(group[0].AsSpan(0, common), 0, rows.Count);
            foreach (int[] sequence in group)
            {
                for (int i = 0; i < common; i++) rows.Add(start + i);
                int own = ids.Count;
                Append(sequence.AsSpan(common), common, rows.Count);
                for (int i = own; i < ids.Count; i++) rows.Add(i);
                whole.Add(rows.Count);
                last.Add(pieces.Count - 2);
                longest = Math.Max(longest, sequence.Length);
            }
        }

        ends = [.. last];
        return new PackedBatch([.. ids], [.. positions], new int[ids.Count], [.. pieces], longest)
        {
            Shared = new SharedPrefixes([.. rows], [.. whole], [.. back]),
        };

        void Append(ReadOnlySpan<int> tokens, int position, int place)
        {
            if (tokens.IsEmpty) return;
            foreach (int token in tokens)
            {
                ids.Add(token);
                positions.Add(position++);
                back.Add(place++);
            }

            pieces.Add(ids.Count);
        }
    }

    /// <summary>How many tokens all of <paramref name="sequences"/> begin with, less than the shortest has.</summary>
    private static int Common(IReadOnlyList<int[]> sequences)
    {
        int common = sequences[0].Length - 1;
        for (int s = 1; s < sequences.Count; s++)
            common = Math.Min(Math.Min(common, sequences[s].Length - 1), sequences[0].AsSpan().CommonPrefixLength(sequences[s]));
        return Math.Max(0, common);
    }
}
