using System;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace RetrievalEngine.Compute.Cpu;

/// <summary>
/// Forward pass of attention (Dao et al. 2022; Milakov, Gimelshein 2018 for the running softmax). Scores are computed with keys as rows and queries as lanes: maxima and sums of the softmax
/// then run along the lanes without one horizontal operation, the keys need no packing, and the probabilities stand as the next product reads them. Logits are in units of
/// log₂ e. Task t does units t · <see cref="UnitsPerTask"/> and so on, of units × key heads.
/// </summary>
internal readonly unsafe struct AttentionForwardJob : IJob
{
    private const int Lanes = AttentionTile.Columns, Block = AttentionPlan.QueryBlock;

    /// <summary>The last tile of keys may reach beyond the block.</summary>
    private const int ScoreRows = AttentionPlan.KeyBlock + AttentionTile.Rows;

    private const float Log2E = 1.44269504f, Ln2 = 0.69314718f;

    public required AttentionProblem Problem { get; init; }

    public required AttentionUnit* Units { get; init; }

    public required long UnitCount { get; init; }

    public required int UnitsPerTask { get; init; }

    public required Scratch Scratch { get; init; }

    /// <summary>Keys of the longest unit.</summary>
    public required long MaxKeys { get; init; }

    public void Run(int task)
    {
        long width = Problem.HeadPanels * Lanes;
        using Scratch.Loan loan = Scratch.Rent(
            sizeof(float) * ((MaxKeys * width) + (Block * (long)Problem.HeadDim) + (ScoreRows * Block) + (Block * width) + (3 * Block)));
        Buffers buffers = default;
        buffers.V = (float*)loan.Pointer;
        buffers.Q = buffers.V + (MaxKeys * width);
        buffers.S = buffers.Q + (Block * (long)Problem.HeadDim);
        buffers.O = buffers.S + (ScoreRows * Block);
        buffers.Max = buffers.O + (Block * width);
        buffers.Sum = buffers.Max + Block;
        buffers.Factor = buffers.Sum + Block;
        long end = Math.Min((task + 1L) * UnitsPerTask, UnitCount * Problem.KvHeads);
        for (long i = (long)task * UnitsPerTask; i < end; i++) Run(Units[i / Problem.KvHeads], (int)(i % Problem.KvHeads), buffers);
    }

    private void Run(in AttentionUnit unit, int kvHead, in Buffers buffers)
    {
        int start = Problem.CuSeqLens[unit.Sequence], keys = unit.EndKey - unit.FirstKey;
        AttentionPack.Panels(
            Problem.V + Problem.KeyOffset(start + unit.FirstKey, kvHead), (nint)Problem.KeyOffset(1, 0), keys, Problem.HeadDim, buffers.V, keys * (nint)Lanes);
        for (int h = kvHead * Problem.Group; h < (kvHead + 1) * Problem.Group; h++)
        {
            for (int query = unit.FirstQuery; query < unit.EndQuery; query += Block) RunBlock(unit, h, query, Math.Min(Block, unit.EndQuery - query), buffers);
        }
    }

    /// <summary>Queries <paramref name="query"/> to <paramref name="query"/> + <paramref name="rows"/> of one head.</summary>
    private void RunBlock(in AttentionUnit unit, int h, int query, int rows, in Buffers buffers)
    {
        int start = Problem.CuSeqLens[unit.Sequence], length = Problem.CuSeqLens[unit.Sequence + 1] - start, d = Problem.HeadDim;
        float scale = Problem.Options.SoftCap > 0 ? Problem.Options.Scale / Problem.Options.SoftCap : Problem.Options.Scale * Log2E;
        AttentionPack.Transpose(Problem.Q + Problem.QueryOffset(start + query, h), (nint)Problem.QueryOffset(1, 0), rows, d, scale, buffers.Q);
        new Span<float>(buffers.Max, Block).Fill(float.NegativeInfinity);
        new Span<float>(buffers.Sum, Block).Clear();
        int firstKey = Problem.FirstKey(query), endKey = Problem.EndKey(query + rows - 1, length);
        float* keys = Problem.K + Problem.KeyOffset(start, h / Problem.Group);
        // Blocks of keys start at the same places whatever the unit, so that rescaling happens at the same places too.
        for (int block = firstKey - (firstKey % AttentionPlan.KeyBlock); block < endKey; block += AttentionPlan.KeyBlock)
        {
            int first = Math.Max(block, firstKey), end = Math.Min(block + AttentionPlan.KeyBlock, endKey);
            for (int j = first; j < end; j += AttentionTile.Rows)
            {
                int count = Math.Min(AttentionTile.Rows, end - j);
                int firstPanel = (Math.Max(Problem.FirstQuery(j), query) - query) / Lanes;
                int endPanel = (Math.Min(Problem.EndQuery(j + count - 1, length), query + rows) - query + Lanes - 1) / Lanes;
                AttentionTile.Multiply(
                    keys + Problem.KeyOffset(j, 0), (nint)Problem.KeyOffset(1, 0), 1, count, buffers.Q + (firstPanel * Lanes * (nint)d), Lanes * (nint)d,
                    endPanel - firstPanel, d, buffers.S + ((j - block) * Block) + (firstPanel * Lanes), Block, accumulate: false);
            }

            for (int panel = 0; panel * Lanes < rows; panel++)
                Softmax(buffers, h, query + (panel * Lanes), Math.Min(Lanes, rows - (panel * Lanes)), length, panel * Lanes, block, first, end);
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
        float* s = buffers.S + lane - ((nint)block * Block);
        if (Problem.Options.SoftCap > 0 || Problem.Bias != null) Transform(s, h, query, first, end);
        // All 16 queries see the keys from inner to outer.
        int inner = Math.Clamp(Problem.FirstKey(last), first, end), outer = Math.Clamp(Problem.EndKey(query, length), inner, end);
        Mask(s, query, length, first, inner);
        Mask(s, query, length, outer, end);

        Vector512<float> infinity = Vector512.Create(float.NegativeInfinity), old = Vector512.Load(buffers.Max + lane), max = old, max2 = old;
        int j = first;
        for (; j < end - 1; j += 2)
        {
            max = Vector512.MaxNative(max, Vector512.Load(s + ((nint)j * Block)));
            max2 = Vector512.MaxNative(max2, Vector512.Load(s + ((nint)(j + 1) * Block)));
        }

        if (j < end) max = Vector512.MaxNative(max, Vector512.Load(s + ((nint)j * Block)));
        max = Vector512.MaxNative(max, max2);
        max.Store(buffers.Max + lane);
        // A query that saw nothing yet has a maximum of -∞; anything finite keeps its powers at 0.
        Vector512<float> origin = Vector512.ConditionalSelect(Vector512.Equals(max, infinity), Vector512<float>.Zero, max), sum = default;
        for (j = first; j < end; j++)
        {
            Vector512<float> p = VectorMath.Exp2(Vector512.Load(s + ((nint)j * Block)) - origin);
            p.Store(s + ((nint)j * Block));
            sum += p;
        }

        Vector512<float> factor = VectorMath.Exp2(old - origin);
        factor.Store(buffers.Factor + lane);
        Vector512.MultiplyAddEstimate(Vector512.Load(buffers.Sum + lane), factor, sum).Store(buffers.Sum + lane);
    }

    /// <summary>Soft cap and relative bias.</summary>
    private void Transform(float* s, int h, int query, int first, int end)
    {
        Vector512<float> cap = Vector512.Create(Problem.Options.SoftCap * Log2E);
        float* bias = Problem.Bias == null ? null : Problem.Bias + (h * Problem.BiasStride) + query;
        for (int j = first; j < end; j++)
        {
            Vector512<float> x = Vector512.Load(s + ((nint)j * Block));
            if (Problem.Options.SoftCap > 0) x = VectorMath.Tanh(x) * cap;
            if (bias != null) x += Vector512.Load(bias - j);
            x.Store(s + ((nint)j * Block));
        }
    }

    private void Mask(float* s, int query, int length, int first, int end)
    {
        for (int j = first; j < end; j++)
        {
            Vector512<float> visible = Visible(query, Problem.FirstQuery(j), Problem.EndQuery(j, length));
            Vector512.ConditionalSelect(visible, Vector512.Load(s + ((nint)j * Block)), Vector512.Create(float.NegativeInfinity)).Store(s + ((nint)j * Block));
        }
    }

    /// <summary>All ones in the lanes of queries <paramref name="first"/> to <paramref name="end"/>, where lane 0 is <paramref name="query"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<float> Visible(int query, int first, int end)
    {
        Vector512<int> lanes = Vector512<int>.Indices;
        return (Vector512.GreaterThanOrEqual(lanes, Vector512.Create(first - query)) & Vector512.LessThan(lanes, Vector512.Create(end - query))).AsSingle();
    }

    /// <summary>o += p · v over the keys of a block that each 8 queries see.</summary>
    private void AddValues(in AttentionUnit unit, in Buffers buffers, int query, int rows, int length, int block, int end)
    {
        int panels = Problem.HeadPanels;
        nint width = panels * Lanes, valuePanel = (unit.EndKey - unit.FirstKey) * (nint)Lanes;
        for (int row = 0; row < rows; row += AttentionTile.Rows)
        {
            int firstSeen = Problem.FirstKey(query + row), first = Math.Max(block, firstSeen);
            int last = Math.Min(end, Problem.EndKey(query + Math.Min(row + AttentionTile.Rows, rows) - 1, length));
            if (first >= last) continue;
            float* o = buffers.O + (row * width);
            bool accumulate = firstSeen < block;
            for (int r = 0; accumulate && r < AttentionTile.Rows; r++)
            {
                for (nint x = r * width; x < (r + 1) * width; x += Lanes) (Vector512.Load(o + x) * buffers.Factor[row + r]).Store(o + x);
            }

            AttentionTile.Multiply(
                buffers.S + ((first - block) * Block) + row, 1, Block, AttentionTile.Rows, buffers.V + ((first - unit.FirstKey) * (nint)Lanes), valuePanel, panels,
                last - first, o, width, accumulate);
        }
    }

    /// <summary>Divides by the sums and writes o and lse.</summary>
    private void Finish(int token, int rows, int h, in Buffers buffers)
    {
        int d = Problem.HeadDim;
        nint width = Problem.HeadPanels * Lanes;
        float* lse = Problem.Lse + ((long)h * Problem.Tokens) + token;
        for (int row = 0; row < rows; row += Lanes)
        {
            Vector512<float> sum = Vector512.Load(buffers.Sum + row), none = Vector512.Equals(sum, Vector512<float>.Zero);
            Vector512.ConditionalSelect(none, Vector512<float>.Zero, Vector512<float>.One / sum).Store(buffers.Factor + row);
            Vector512<float> logSum = Vector512.MultiplyAddEstimate(Vector512.Load(buffers.Max + row), Vector512.Create(Ln2), Vector512.Log(sum));
            VectorMath.Store(Vector512.ConditionalSelect(none, Vector512.Create(float.NegativeInfinity), logSum), lse + row, Math.Min(Lanes, rows - row));
        }

        for (int row = 0; row < rows; row++)
        {
            float* source = buffers.O + (row * width), target = Problem.O + Problem.QueryOffset(token + row, h);
            Vector512<float> factor = Vector512.Create(buffers.Factor[row]);
            int x = 0;
            for (; x <= d - Lanes; x += Lanes) (Vector512.Load(source + x) * factor).Store(target + x);
            if (x < d) VectorMath.StorePartial(Vector512.Load(source + x) * factor, target + x, d - x);
        }
    }

    /// <summary>Working memory of one task.</summary>
    private struct Buffers
    {
        /// <summary>Values of the unit's keys, [head panels][keys][16].</summary>
        public float* V;

        /// <summary>Scaled queries of the block, [panels][D][16 queries].</summary>
        public float* Q;

        /// <summary>Logits, then powers, [keys of a block][64 queries].</summary>
        public float* S;

        /// <summary>Sums of values, [64][head panels · 16].</summary>
        public float* O;

        /// <summary>Running maxima [64].</summary>
        public float* Max;

        /// <summary>Running sums [64].</summary>
        public float* Sum;

        /// <summary>What the last block multiplies the sums before it by, [64].</summary>
        public float* Factor;
    }
}
