using System;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace RetrievalEngine.Compute.Cpu;

/// <summary>
/// Forward pass of attention (Dao et al. 2022; Milakov, Gimelshein 2018 for the running softmax). Scores are computed with keys as rows and queries
/// as lanes: maxima and sums of the softmax then run along the lanes without one horizontal operation, keys need no packing, and the probabilities
/// stand as the product with the values reads them. Task t does units × key heads from t · <see cref="UnitsPerTask"/> on.
/// </summary>
internal readonly unsafe struct AttentionForwardJob : IJob
{
    private const int Lanes = AttentionTile.Columns, Rows = AttentionTile.Rows, Block = AttentionPlan.QueryBlock, KeyBlock = AttentionPlan.KeyBlock;

    /// <summary>The last tile of keys may reach beyond the block.</summary>
    private const int ScoreRows = KeyBlock + Rows;

    private const float Ln2 = 0.69314718f;

    public required AttentionProblem Problem { get; init; }

    public required AttentionUnit* Units { get; init; }

    public required long UnitCount { get; init; }

    public required int UnitsPerTask { get; init; }

    public required Scratch Scratch { get; init; }

    /// <summary>Keys of the longest unit.</summary>
    public required long MaxKeys { get; init; }

    public void Run(int task)
    {
        long width = Problem.HeadPanels * Lanes, d = Problem.HeadDim;
        using Scratch.Loan loan = Scratch.Rent(sizeof(float) * (MaxKeys * width + Block * d + ScoreRows * Block + Block * width + 3 * Block));
        Buffers buffers = default;
        buffers.V = (float*)loan.Pointer;
        buffers.Q = buffers.V + MaxKeys * width;
        buffers.S = buffers.Q + Block * d;
        buffers.O = buffers.S + ScoreRows * Block;
        buffers.Max = buffers.O + Block * width;
        buffers.Sum = buffers.Max + Block;
        buffers.Factor = buffers.Sum + Block;
        long end = Math.Min((task + 1L) * UnitsPerTask, UnitCount * Problem.KvHeads);
        for (long i = (long)task * UnitsPerTask; i < end; i++) Run(Units[i / Problem.KvHeads], (int)(i % Problem.KvHeads), buffers);
    }

    private void Run(in AttentionUnit unit, int kvHead, in Buffers buffers)
    {
        int keys = unit.EndKey - unit.FirstKey;
        long offset = Problem.KeyOffset(Problem.Start(unit.Sequence) + unit.FirstKey, kvHead);
        AttentionPack.Prefetch(Problem.K + offset, Problem.KeyStride, keys, Problem.HeadDim);
        AttentionPack.Panels(Problem.V + offset, Problem.KeyStride, keys, Problem.HeadDim, buffers.V, keys * (nint)Lanes);
        for (int h = kvHead * Problem.Group; h < (kvHead + 1) * Problem.Group; h++)
        {
            for (int query = unit.FirstQuery; query < unit.EndQuery; query += Block)
                RunBlock(unit, h, query, Math.Min(Block, unit.EndQuery - query), buffers);
        }
    }

    /// <summary>Queries <paramref name="query"/> to <paramref name="query"/> + <paramref name="rows"/> of one head.</summary>
    private void RunBlock(in AttentionUnit unit, int h, int query, int rows, in Buffers buffers)
    {
        int start = Problem.Start(unit.Sequence), length = Problem.Length(unit.Sequence), d = Problem.HeadDim;
        AttentionPack.Transpose(Problem.Q + Problem.QueryOffset(start + query, h), Problem.QueryStride, rows, d, Problem.QueryFactor, buffers.Q);
        new Span<float>(buffers.Max, Block).Fill(float.NegativeInfinity);
        new Span<float>(buffers.Sum, Block).Clear();
        int firstKey = Problem.FirstKey(query), endKey = Problem.EndKey(query + rows - 1, length);
        float* keys = Problem.K + Problem.KeyOffset(start, h / Problem.Group);
        nint queryPanel = Lanes * (nint)d;
        // Blocks of keys start at the same places whatever the unit, so that rescaling happens at the same places too.
        for (int block = firstKey - firstKey % KeyBlock; block < endKey; block += KeyBlock)
        {
            int first = Math.Max(block, firstKey), end = Math.Min(block + KeyBlock, endKey);
            for (int j = first; j < end; j += Rows)
            {
                int count = Math.Min(Rows, end - j);
                int firstPanel = (Math.Max(Problem.FirstQuery(j), query) - query) / Lanes;
                int endPanel = (Math.Min(Problem.EndQuery(j + count - 1, length), query + rows) - query + Lanes - 1) / Lanes;
                AttentionTile.Multiply(
                    keys + j * Problem.KeyStride, Problem.KeyStride, 1, count, buffers.Q + firstPanel * queryPanel, queryPanel, endPanel - firstPanel,
                    d, buffers.S + (j - block) * Block + firstPanel * Lanes, Block, accumulate: false);
            }

            for (int lane = 0; lane < rows; lane += Lanes)
                Softmax(buffers, h, query + lane, Math.Min(Lanes, rows - lane), length, lane, block, first, end);
            AddValues(unit, buffers, query, rows, length, block, end);
        }

        Finish(start + query, rows, h, buffers);
    }

    /// <summary>Turns logits of 16 queries into powers of two under the running maximum, and brings the running sum up to date.</summary>
    private void Softmax(in Buffers buffers, int h, int query, int rows, int length, int lane, int block, int first, int end)
    {
        int last = query + rows - 1;
        first = Math.Max(first, Problem.FirstKey(query));
        end = Math.Min(end, Problem.EndKey(last, length));
        if (first >= end) return;
        float* s = buffers.S + lane - (nint)block * Block;
        if (Problem.Options.SoftCap > 0 || Problem.Bias != null) Transform(s, h, query, first, end);
        // All 16 queries see the keys from inner to outer.
        int inner = Math.Clamp(Problem.FirstKey(last), first, end), outer = Math.Clamp(Problem.EndKey(query, length), inner, end);
        Mask(s, query, length, first, inner);
        Mask(s, query, length, outer, end);

        Vector512<float> old = Vector512.Load(buffers.Max + lane), max = old, max2 = old;
        float* from = s + (nint)first * Block, to = s + (nint)end * Block, at = from;
        for (; at < to - Block; at += 2 * Block)
        {
            max = Vector512.MaxNative(max, Vector512.Load(at));
            max2 = Vector512.MaxNative(max2, Vector512.Load(at + Block));
        }

        if (at < to) max = Vector512.MaxNative(max, Vector512.Load(at));
        max = Vector512.MaxNative(max, max2);
        max.Store(buffers.Max + lane);
        // A query that saw nothing yet has a maximum of -∞; anything finite keeps its powers at 0.
        Vector512<float> nothing = Vector512.Equals(max, Vector512.Create(float.NegativeInfinity));
        Vector512<float> origin = Vector512.ConditionalSelect(nothing, Vector512<float>.Zero, max), sum = default;
        for (at = from; at < to; at += Block)
        {
            Vector512<float> p = VectorMath.Exp2(Vector512.Load(at) - origin);
            p.Store(at);
            sum += p;
        }

        Vector512<float> factor = VectorMath.Exp2(old - origin);
        factor.Store(buffers.Factor + lane);
        Vector512.MultiplyAddEstimate(Vector512.Load(buffers.Sum + lane), factor, sum).Store(buffers.Sum + lane);
    }

    /// <summary>Soft cap and relative bias.</summary>
    private void Transform(float* s, int h, int query, int first, int end)
    {
        float* bias = Problem.Bias == null ? null : Problem.Bias + h * Problem.BiasStride + query;
        for (int j = first; j < end; j++)
        {
            Vector512<float> x = Vector512.Load(s + (nint)j * Block);
            if (Problem.Options.SoftCap > 0) x = VectorMath.Tanh(x) * Problem.CapFactor;
            if (bias != null) x += Vector512.Load(bias - j);
            x.Store(s + (nint)j * Block);
        }
    }

    private void Mask(float* s, int query, int length, int first, int end)
    {
        for (int j = first; j < end; j++)
        {
            float* row = s + (nint)j * Block;
            Vector512<float> visible = Visible(query, Problem.FirstQuery(j), Problem.EndQuery(j, length));
            Vector512.ConditionalSelect(visible, Vector512.Load(row), Vector512.Create(float.NegativeInfinity)).Store(row);
        }
    }

    /// <summary>
    /// All ones in the lanes of queries <paramref name="first"/> to <paramref name="end"/>, where lane 0 is <paramref name="query"/>.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<float> Visible(int query, int first, int end)
    {
        Vector512<int> queries = Vector512<int>.Indices + Vector512.Create(query);
        return (Vector512.GreaterThanOrEqual(queries, Vector512.Create(first)) & Vector512.LessThan(queries, Vector512.Create(end))).AsSingle();
    }

    /// <summary>o += p · v over the keys of a block that each 8 queries see.</summary>
    private void AddValues(in AttentionUnit unit, in Buffers buffers, int query, int rows, int length, int block, int end)
    {
        nint width = Problem.HeadPanels * Lanes, valuePanel = (unit.EndKey - unit.FirstKey) * (nint)Lanes;
        for (int row = 0; row < rows; row += Rows)
        {
            int firstSeen = Problem.FirstKey(query + row), first = Math.Max(block, firstSeen);
            int last = Math.Min(end, Problem.EndKey(query + Math.Min(row + Rows, rows) - 1, length));
            if (first >= last) continue;
            float* o = buffers.O + row * width;
            bool accumulate = firstSeen < block;
            for (int r = 0; accumulate && r < Rows; r++)
            {
                for (nint x = r * width; x < (r + 1) * width; x += Lanes) (Vector512.Load(o + x) * buffers.Factor[row + r]).Store(o + x);
            }

            AttentionTile.Multiply(
                buffers.S + (first - block) * Block + row, 1, Block, Rows, buffers.V + (first - unit.FirstKey) * (nint)Lanes, valuePanel,
                Problem.HeadPanels, last - first, o, width, accumulate);
        }
    }

    /// <summary>Divides by the sums and writes o and lse.</summary>
    private void Finish(int token, int rows, int h, in Buffers buffers)
    {
        int d = Problem.HeadDim;
        nint width = Problem.HeadPanels * Lanes;
        float* lse = Problem.Lse + (long)h * Problem.Tokens + token;
        for (int row = 0; row < rows; row += Lanes)
        {
            Vector512<float> sum = Vector512.Load(buffers.Sum + row), none = Vector512.Equals(sum, Vector512<float>.Zero);
            Vector512.ConditionalSelect(none, Vector512<float>.Zero, Vector512<float>.One / sum).Store(buffers.Factor + row);
            Vector512<float> logSum = Vector512.MultiplyAddEstimate(Vector512.Load(buffers.Max + row), Vector512.Create(Ln2), Vector512.Log(sum));
            logSum = Vector512.ConditionalSelect(none, Vector512.Create(float.NegativeInfinity), logSum);
            VectorMath.Store(logSum, lse + row, Math.Min(Lanes, rows - row));
        }

        for (int row = 0; row < rows; row++)
        {
            float* source = buffers.O + row * width, target = Problem.O + Problem.QueryOffset(token + row, h);
            Vector512<float> factor = Vector512.Create(buffers.Factor[row]);
            for (int x = 0; x < d; x += Lanes) VectorMath.Store(Vector512.Load(source + x) * factor, target + x, Math.Min(Lanes, d - x));
        }
    }

    /// <summary>Working memory of one task.</summary>
    private struct Buffers
    {
        /// <summary>Values of the unit's keys, [head panels][keys][16].</summary>
        public float* V;

        /// <summary>Queries of the block times <see cref="AttentionProblem.QueryFactor"/>, [panels][D][16 queries].</summary>
        public float* Q;

        /// <summary>Logits, then powers, [keys of a block][64 queries].</summary>
        public float* S;

        /// <summary>Sums of values, [64][head panels · 16].</summary>
        public float* O;

        /// <summary>Running maxima and sums, [64].</summary>
        public float* Max, Sum;

        /// <summary>What the last block multiplies the sums before it by, [64].</summary>
        public float* Factor;
    }
}
