using System;
using System.Collections.Generic;
using RetrievalEngine.Compute;
using RetrievalEngine.Data;

namespace RetrievalEngine.Training;

/// <summary>
/// Which rows, which positive and which negatives stand at which place of the run. Every choice is a function of (seed, epoch, row) alone, so a resumed run needs only
/// the number of its step. The last batch of an epoch may be smaller.
/// </summary>
internal sealed class BatchSampler(int rows, int batchSize, int groupSize, ulong seed, bool shuffle)
{
    private int[] _order = [];
    private long _orderEpoch = -1;

    /// <summary>Micro-batches of one epoch.</summary>
    public int BatchesPerEpoch => (rows + batchSize - 1) / batchSize;

    /// <summary>The rows of micro-batch <paramref name="index"/> of the run.</summary>
    public ReadOnlySpan<int> Rows(long index)
    {
        long epoch = index / BatchesPerEpoch;
        if (epoch != _orderEpoch)
        {
            _order = Order(epoch);
            _orderEpoch = epoch;
        }

        int first = (int)(index % BatchesPerEpoch) * batchSize;
        return _order.AsSpan(first, Math.Min(batchSize, rows - first));
    }

    /// <summary>The passages of <paramref name="example"/> at <paramref name="row"/> in the epoch of micro-batch <paramref name="index"/>: a positive, then the negatives.</summary>
    public List<Document> Group(TrainingRow example, int row, long index)
    {
        List<Document> group = new(groupSize);
        ulong random = Dropout.Mix(seed ^ Dropout.Mix(((ulong)(index / BatchesPerEpoch) << 32) | (uint)row));
        int positive = shuffle ? (int)(Next(ref random) % (ulong)example.Positives.Count) : 0;
        group.Add(example.Positives[positive]);
        int count = example.Negatives.Count;
        if (count == 0) return group;
        int[] order = new int[count];
        for (int i = 0; i < count; i++) order[i] = i;
        for (int i = 0; i < groupSize - 1; i++)
        {
            int at = i % count;
            // A partial Fisher-Yates shuffle; where a row has too few negatives it starts over.
            if (shuffle)
            {
                int other = at + (int)(Next(ref random) % (ulong)(count - at));
                (order[at], order[other]) = (order[other], order[at]);
            }

            group.Add(example.Negatives[order[at]]);
        }

        return group;
    }

    private static ulong Next(ref ulong state) => Dropout.Mix(state += 0x9E3779B97F4A7C15UL);

    private int[] Order(long epoch)
    {
        int[] order = new int[rows];
        for (int i = 0; i < rows; i++) order[i] = i;
        if (!shuffle) return order;
        ulong random = Dropout.Mix(seed + (ulong)epoch);
        for (int i = rows - 1; i > 0; i--)
        {
            int other = (int)(Next(ref random) % (ulong)(i + 1));
            (order[i], order[other]) = (order[other], order[i]);
        }

        return order;
    }
}
