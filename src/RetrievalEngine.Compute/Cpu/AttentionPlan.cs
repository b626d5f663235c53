using System;

namespace RetrievalEngine.Compute.Cpu;

/// <summary>Cuts attention into units, longest first. The cut depends on the number of threads; the results do not.</summary>
internal static class AttentionPlan
{
    /// <summary>Queries that are worked on together; cuts between queries fall on multiples of it.</summary>
    public const int QueryBlock = 64;

    /// <summary>Keys that are worked on together; cuts between keys fall on multiples of it.</summary>
    public const int KeyBlock = 128;

    /// <summary>Tasks of one pass for each thread, at most: enough to even out, few enough to cost nothing.</summary>
    private const int TasksPerThread = 64;

    /// <summary>Units that the plan of a batch can have, at most.</summary>
    public static int MaxUnits(int sequences, int tokens) => sequences + tokens / QueryBlock;

    /// <summary>
    /// Units of the forward pass: one for each sequence, or blocks of queries where a sequence is much of the whole. Every unit packs the values
    /// that it reads, so blocks are not small.
    /// </summary>
    public static int Forward(in AttentionProblem problem, ReadOnlySpan<int> cuSeqLens, int threads, Span<AttentionUnit> units)
    {
        double share = TotalCost(cuSeqLens) * problem.KvHeads / (4 * threads);
        int count = 0;
        for (int b = 0; b + 1 < cuSeqLens.Length; b++)
        {
            int length = cuSeqLens[b + 1] - cuSeqLens[b], block = PieceLength(length, share, 2 * QueryBlock);
            for (int first = 0; first < length; first += block)
                units[count++] = OfQueries(problem, b, first, Math.Min(first + block, length), length);
        }

        return Sorted(units[..count]);
    }

    /// <summary>
    /// Units of the backward pass: one for each sequence, which computes all gradients from one set of scores. Where one sequence is more than a
    /// thread's share, it is cut into units for dq and units for dk and dv, which compute the scores twice.
    /// </summary>
    public static int Backward(in AttentionProblem problem, ReadOnlySpan<int> cuSeqLens, int threads, Span<AttentionUnit> units)
    {
        double share = TotalCost(cuSeqLens) * problem.KvHeads / threads;
        int count = 0;
        for (int b = 0; b + 1 < cuSeqLens.Length; b++)
        {
            int length = cuSeqLens[b + 1] - cuSeqLens[b];
            // Half the share for each kind, and several pieces for each thread.
            int block = (double)length * length <= share ? length : PieceLength(length, share / 8, 2 * KeyBlock);
            if (block >= length)
            {
                if (length > 0) units[count++] = new AttentionUnit(b, 0, length, 0, length, WritesDq: true, WritesDkv: true);
                continue;
            }

            for (int first = 0; first < length; first += block)
            {
                int end = Math.Min(first + block, length), firstQuery = problem.FirstQuery(first), endQuery = problem.EndQuery(end - 1, length);
                units[count++] = OfQueries(problem, b, first, end, length) with { WritesDq = true };
                units[count++] = new AttentionUnit(b, firstQuery, endQuery, first, end, WritesDq: false, WritesDkv: true);
            }
        }

        return Sorted(units[..count]);
    }

    /// <summary>How many units make one task.</summary>
    public static int UnitsPerTask(long units, int threads)
    {
        long tasks = (long)TasksPerThread * threads;
        return (int)Math.Max(1, (units + tasks - 1) / tasks);
    }

    private static AttentionUnit OfQueries(in AttentionProblem problem, int sequence, int first, int end, int length) =>
        new(sequence, first, end, problem.FirstKey(first), problem.EndKey(end - 1, length), WritesDq: false, WritesDkv: false);

    private static double TotalCost(ReadOnlySpan<int> cuSeqLens)
    {
        double total = 0;
        for (int b = 0; b + 1 < cuSeqLens.Length; b++)
        {
            double length = cuSeqLens[b + 1] - cuSeqLens[b];
            total += length * length;
        }

        return total;
    }

    /// <summary>
    /// Rows of pieces of about <paramref name="share"/> cost, a multiple of <paramref name="least"/>; the length itself where it is not to be cut.
    /// </summary>
    private static int PieceLength(int length, double share, int least)
    {
        if (length <= least || (double)length * length <= share) return Math.Max(length, 1);
        return least * Math.Max(1, (int)Math.Ceiling(share / length / least));
    }

    private static int Sorted(Span<AttentionUnit> units)
    {
        units.Sort(static (x, y) => y.Cost.CompareTo(x.Cost));
        return units.Length;
    }
}
