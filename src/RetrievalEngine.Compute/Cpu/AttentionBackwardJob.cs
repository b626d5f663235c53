using System;
using System.Runtime.Intrinsics;

namespace RetrievalEngine.Compute.Cpu;

/// <summary>
/// Backward pass of attention (Dao et al. 2022, algorithm 4): P = exp(logit - lse) is computed again, dS = P (dO·vᵀ - Σ dO∘O), dv = Pᵀ·dO, dk =
/// dSᵀ·q, dq = dS·k. Keys are rows and queries are lanes, as in <see cref="AttentionForwardJob"/>. A unit goes through its keys block by block; dk
/// and dv of a block are summed over heads and queries in working memory and written once, dq is written with the first block of keys that a query
/// sees and added to with the others.
/// </summary>
internal readonly unsafe struct AttentionBackwardJob : IJob
{
    private const int Lanes = AttentionTile.Columns, Rows = AttentionTile.Rows, Block = AttentionPlan.QueryBlock, KeyBlock = AttentionPlan.KeyBlock;

    public required AttentionProblem Problem { get; init; }

    public required float* DO { get; init; }

    public required float* Dq { get; init; }

    public required float* Dk { get; init; }

    public required float* Dv { get; init; }

    /// <summary>Gradient of the relative bias for each block of keys, [blocks][heads][buckets], or null.</summary>
    public required float* BiasParts { get; init; }

    /// <summary>First block of each sequence in <see cref="BiasParts"/>.</summary>
    public required int* FirstBiasPart { get; init; }

    /// <summary>Rows of the relative bias.</summary>
    public required int Buckets { get; init; }

    public required AttentionUnit* Units { get; init; }

    public required long UnitCount { get; init; }

    public required int UnitsPerTask { get; init; }

    public required Scratch Scratch { get; init; }

    /// <summary>Tokens of the longest sequence.</summary>
    public required int MaxLength { get; init; }

    private int Distances => BiasParts == null ? 0 : MaxLength + KeyBlock + 2 * Lanes;

    public void Run(int task)
    {
        long width = Problem.HeadPanels * Lanes, d = Problem.HeadDim;
        long floats = 2 * Block * d + 2 * Block * width + 3 * KeyBlock * width + 2 * KeyBlock * Block + Rows * width + 2 * Block + Distances;
        using Scratch.Loan loan = Scratch.Rent(sizeof(float) * floats);
        Buffers buffers = default;
        buffers.QT = (float*)loan.Pointer;
        buffers.DOT = buffers.QT + Block * d;
        buffers.Q = buffers.DOT + Block * d;
        buffers.DO = buffers.Q + Block * width;
        buffers.K = buffers.DO + Block * width;
        buffers.Dk = buffers.K + KeyBlock * width;
        buffers.Dv = buffers.Dk + KeyBlock * width;
        buffers.P = buffers.Dv + KeyBlock * width;
        buffers.DS = buffers.P + KeyBlock * Block;
        buffers.Dq = buffers.DS + KeyBlock * Block;
        buffers.Lse = buffers.Dq + Rows * width;
        buffers.Delta = buffers.Lse + Block;
        buffers.Distances = buffers.Delta + Block;
        long end = Math.Min((task + 1L) * UnitsPerTask, UnitCount * Problem.KvHeads);
        for (long i = (long)task * UnitsPerTask; i < end; i++) Run(Units[i / Problem.KvHeads], (int)(i % Problem.KvHeads), buffers);
    }

    private void Run(in AttentionUnit unit, int kvHead, in Buffers buffers)
    {
        int start = Problem.Start(unit.Sequence), length = Problem.Length(unit.Sequence), d = Problem.HeadDim;
        nint width = Problem.HeadPanels * Lanes;
        bool biasGradient = unit.WritesDkv && BiasParts != null;
        for (int block = unit.FirstKey - unit.FirstKey % KeyBlock; block < unit.EndKey; block += KeyBlock)
        {
            int keys = Math.Min(KeyBlock, length - block);
            long offset = Problem.KeyOffset(start + block, kvHead);
            AttentionPack.Prefetch(Problem.V + offset, Problem.KeyStride, keys, d);
            if (unit.WritesDq) AttentionPack.Panels(Problem.K + offset, Problem.KeyStride, keys, d, buffers.K, KeyBlock * Lanes);
            int firstQuery = Math.Max(unit.FirstQuery, Problem.FirstQuery(block));
            int endQuery = Math.Min(unit.EndQuery, Problem.EndQuery(block + keys - 1, length));
            for (int h = kvHead * Problem.Group; h < (kvHead + 1) * Problem.Group; h++)
            {
                new Span<float>(buffers.Distances, Distances).Clear();
                for (int query = firstQuery - firstQuery % Block; query < endQuery; query += Block)
                {
                    int rows = Math.Min(Block, length - query);
                    PackQueries(unit, h, start + query, rows, buffers);
                    AddKeys(unit, h, query, rows, block, keys, biasGradient, buffers);
                    if (unit.WritesDq) AddQueries(unit, h, query, rows, block, keys, buffers);
                }

                if (biasGradient) SumBuckets(unit.Sequence, h, block, length, buffers);
            }

            for (int j = 0; unit.WritesDkv && j < keys; j++, offset += Problem.KeyStride)
            {
                Write(buffers.Dk + j * width, Dk + offset, accumulate: false);
                Write(buffers.Dv + j * width, Dv + offset, accumulate: false);
            }
        }
    }

    /// <summary>q and dO of a block as columns and as rows, lse in units of log₂ e, and Σ dO∘O.</summary>
    private void PackQueries(in AttentionUnit unit, int h, int token, int rows, in Buffers buffers)
    {
        int d = Problem.HeadDim;
        long offset = Problem.QueryOffset(token, h);
        nint stride = Problem.QueryStride;
        AttentionPack.Transpose(Problem.Q + offset, stride, rows, d, Problem.QueryFactor, buffers.QT);
        AttentionPack.Transpose(DO + offset, stride, rows, d, 1, buffers.DOT);
        if (unit.WritesDkv)
        {
            AttentionPack.Panels(Problem.Q + offset, stride, rows, d, buffers.Q, Block * Lanes);
            AttentionPack.Panels(DO + offset, stride, rows, d, buffers.DO, Block * Lanes);
        }

        float* lse = Problem.Lse + (long)h * Problem.Tokens + token;
        for (int row = 0; row < rows; row++)
        {
            // A query without a key, lse = -∞, has probabilities of 0.
            buffers.Lse[row] = float.IsNegativeInfinity(lse[row]) ? float.PositiveInfinity : lse[row] * AttentionProblem.Log2E;
            buffers.Delta[row] = VectorMath.Dot(DO + offset + row * stride, Problem.O + offset + row * stride, d);
        }

        for (int row = rows; row % Lanes != 0; row++) (buffers.Lse[row], buffers.Delta[row]) = (float.PositiveInfinity, 0);
    }

    /// <summary>
    /// P and dS of queries <paramref name="query"/> to <paramref name="query"/> + <paramref name="rows"/> with the keys of a block, and what these
    /// queries give to dk and dv.
    /// </summary>
    private void AddKeys(in AttentionUnit unit, int h, int query, int rows, int block, int keys, bool biasGradient, in Buffers buffers)
    {
        int length = Problem.Length(unit.Sequence), d = Problem.HeadDim, panels = Problem.HeadPanels;
        nint stride = Problem.KeyStride, width = panels * Lanes, queryPanel = Lanes * (nint)d;
        long offset = Problem.KeyOffset(Problem.Start(unit.Sequence) + block, h / Problem.Group);
        bool firstHead = h % Problem.Group == 0;
        for (int j = 0; j < keys; j += Rows, offset += Rows * stride)
        {
            int count = Math.Min(Rows, keys - j), firstSeen = Problem.FirstQuery(block + j);
            int first = Math.Max(firstSeen, query) - query, end = Math.Min(Problem.EndQuery(block + j + count - 1, length), query + rows) - query;
            if (first >= end) continue;
            int panel = first / Lanes, seen = (end + Lanes - 1) / Lanes - panel, lane = panel * Lanes;
            float* qt = buffers.QT + panel * queryPanel, dot = buffers.DOT + panel * queryPanel;
            float* p = buffers.P + j * Block, ds = buffers.DS + j * Block;
            AttentionTile.Multiply(Problem.K + offset, stride, 1, count, qt, queryPanel, seen, d, p + lane, Block, accumulate: false);
            AttentionTile.Multiply(Problem.V + offset, stride, 1, count, dot, queryPanel, seen, d, ds + lane, Block, accumulate: false);
            for (; lane < end; lane += Lanes)
                Differentiate(p, ds, h, query, lane, rows, block, j, count, length, biasGradient, buffers);
            if (!unit.WritesDkv) continue;
            bool accumulate = !firstHead || firstSeen < query;
            float* dv = buffers.Dv + j * width, dk = buffers.Dk + j * width;
            AttentionTile.Multiply(p + first, Block, 1, Rows, buffers.DO + first * Lanes, Block * Lanes, panels, end - first, dv, width, accumulate);
            AttentionTile.Multiply(ds + first, Block, 1, Rows, buffers.Q + first * Lanes, Block * Lanes, panels, end - first, dk, width, accumulate);
        }
    }

    /// <summary>Turns logits into P and dP into dS for 16 queries and <paramref name="count"/> keys from <paramref name="j"/> on.</summary>
    private void Differentiate(
        float* p, float* ds, int h, int query, int lane, int rows, int block, int j, int count, int length, bool biasGradient, in Buffers buffers)
    {
        int first = query + lane, last = Math.Min(first + Lanes, query + rows) - 1, key = block + j;
        bool masked = Problem.FirstKey(last) > key || Problem.EndKey(first, length) < key + count;
        Vector512<float> lse = Vector512.Load(buffers.Lse + lane), delta = Vector512.Load(buffers.Delta + lane);
        Vector512<float> scale = Vector512.Create(Problem.Options.Scale);
        p += lane;
        ds += lane;
        float* end = p + count * Block;
        if (!masked && Problem.Options.SoftCap == 0 && Problem.Bias == null)
        {
            for (; p < end; p += Block, ds += Block)
            {
                Vector512<float> probability = VectorMath.Exp2(Vector512.Load(p) - lse);
                probability.Store(p);
                ((Vector512.Load(ds) - delta) * probability * scale).Store(ds);
            }

            return;
        }

        for (; p < end; p += Block, ds += Block, key++)
        {
            Vector512<float> logit = Vector512.Load(p), slope = scale;
            if (Problem.Options.SoftCap > 0)
            {
                Vector512<float> tanh = VectorMath.Tanh(logit);
                logit = tanh * Problem.CapFactor;
                slope *= Vector512<float>.One - tanh * tanh;
            }

            if (Problem.Bias != null) logit += Vector512.Load(Problem.Bias + h * Problem.BiasStride + first - key);
            Vector512<float> visible = AttentionForwardJob.Visible(first, Problem.FirstQuery(key), Problem.EndQuery(key, length));
            Vector512<float> probability = VectorMath.Exp2(logit - lse) & visible, gradient = (Vector512.Load(ds) - delta) * probability;
            probability.Store(p);
            (gradient * slope).Store(ds);
            if (!biasGradient) continue;
            float* distance = buffers.Distances + (first - key + block + KeyBlock);
            (Vector512.Load(distance) + gradient).Store(distance);
        }
    }

    /// <summary>What the keys of a block give to dq.</summary>
    private void AddQueries(in AttentionUnit unit, int h, int query, int rows, int block, int keys, in Buffers buffers)
    {
        int start = Problem.Start(unit.Sequence), length = Problem.Length(unit.Sequence), panels = Problem.HeadPanels;
        nint width = panels * Lanes;
        for (int row = 0; row < rows; row += Rows)
        {
            int count = Math.Min(Rows, rows - row), firstSeen = Problem.FirstKey(query + row);
            int first = Math.Max(firstSeen - block, 0), end = Math.Min(keys, Problem.EndKey(query + row + count - 1, length) - block);
            if (first >= end) continue;
            AttentionTile.Multiply(
                buffers.DS + first * Block + row, 1, Block, Rows, buffers.K + first * Lanes, KeyBlock * Lanes, panels, end - first, buffers.Dq, width,
                accumulate: false);
            for (int r = 0; r < count; r++)
                Write(buffers.Dq + r * width, Dq + Problem.QueryOffset(start + query + row + r, h), accumulate: firstSeen < block);
        }
    }

    /// <summary>Sums the gradient by distance into the buckets of this block of keys.</summary>
    private void SumBuckets(int sequence, int h, int block, int length, in Buffers buffers)
    {
        float* part = BiasParts + ((FirstBiasPart[sequence] + (long)(block / KeyBlock)) * Problem.Heads + h) * Buckets;
        new Span<float>(part, Buckets).Clear();
        for (int distance = Math.Max(-KeyBlock - block, 1 - length); distance < length - block; distance++)
            part[RelativeBuckets.Bucket(-distance, Buckets, Problem.Options.RelativeMaxDistance)] += buffers.Distances[distance + block + KeyBlock];
    }

    private void Write(float* source, float* target, bool accumulate)
    {
        int d = Problem.HeadDim;
        for (int x = 0; x < d; x += Lanes)
        {
            int count = Math.Min(Lanes, d - x);
            Vector512<float> value = Vector512.Load(source + x);
            if (accumulate) value += VectorMath.Load(target + x, count);
            VectorMath.Store(value, target + x, count);
        }
    }

    /// <summary>Working memory of one task.</summary>
    private struct Buffers
    {
        /// <summary>Queries times <see cref="AttentionProblem.QueryFactor"/> and dO as columns, [panels][D][16 queries].</summary>
        public float* QT, DOT;

        /// <summary>Queries and dO as rows, [head panels][64][16].</summary>
        public float* Q, DO;

        /// <summary>Keys of the block, [head panels][keys][16].</summary>
        public float* K;

        /// <summary>Gradients of the block, [keys][head panels · 16].</summary>
        public float* Dk, Dv;

        /// <summary>Logits, then probabilities, and dP, then dS, [keys][64 queries].</summary>
        public float* P, DS;

        /// <summary>dq of 8 queries, [8][head panels · 16].</summary>
        public float* Dq;

        /// <summary>lse · log₂ e and Σ dO∘O, [64].</summary>
        public float* Lse, Delta;

        /// <summary>Gradient of the bias by distance i - j + block + KeyBlock.</summary>
        public float* Distances;
    }
}
