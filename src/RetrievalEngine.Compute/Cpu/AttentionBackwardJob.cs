using System;
using System.Runtime.Intrinsics;

namespace RetrievalEngine.Compute.Cpu;

/// <summary>
/// Backward pass of attention (Dao et al. 2022, algorithm 4): probabilities are computed again from lse, P = exp(logit - lse), dS = P (dO·vᵀ - Σ dO∘O), dv = Pᵀ·dO, dk = dSᵀ·q, dq = dS·k.
/// Keys are rows and queries are lanes, as in <see cref="AttentionForwardJob"/>. A unit goes through its keys block by block; dk and dv of a block are summed over heads and
/// queries in working memory and written once, dq is written with the first block of keys that a query sees and added to with the others.
/// </summary>
internal readonly unsafe struct AttentionBackwardJob : IJob
{
    private const int Lanes = AttentionTile.Columns, Rows = AttentionTile.Rows, Block = AttentionPlan.QueryBlock, KeyBlock = AttentionPlan.KeyBlock;
    private const float Log2E = 1.44269504f;

    public required AttentionProblem Problem { get; init; }

    public required float* DO { get; init; }

    public required float* Dq { get; init; }

    public required float* Dk { get; init; }

    public required float* Dv { get; init; }

    /// <summary>Gradient of the relative bias for each block of keys, [blocks][heads][buckets], or null.</summary>
    public required float* BiasParts { get; init; }

    /// <summary>First block of each sequence in <see cref="BiasParts"/>.</summary>
    public required int* FirstBiasPart { get; init; }

    /// <summary>Rows of the bias.</summary>
    public required int Buckets { get; init; }

    public required AttentionUnit* Units { get; init; }

    public required long UnitCount { get; init; }

    public required int UnitsPerTask { get; init; }

    public required Scratch Scratch { get; init; }

    /// <summary>Tokens of the longest sequence.</summary>
    public required int MaxLength { get; init; }

    public void Run(int task)
    {
        long width = Problem.HeadPanels * Lanes, d = Problem.HeadDim;
        long distances = BiasParts == null ? 0 : MaxLength + (long)KeyBlock + (2 * Lanes);
        using Scratch.Loan loan = Scratch.Rent(
            sizeof(float) * ((2 * Block * d) + (2 * Block * width) + (3 * KeyBlock * width) + (2 * KeyBlock * Block) + (Rows * width) + (2 * Block) + distances));
        Buffers buffers = default;
        buffers.QT = (float*)loan.Pointer;
        buffers.DOT = buffers.QT + (Block * d);
        buffers.Q = buffers.DOT + (Block * d);
        buffers.DO = buffers.Q + (Block * width);
        buffers.K = buffers.DO + (Block * width);
        buffers.Dk = buffers.K + (KeyBlock * width);
        buffers.Dv = buffers.Dk + (KeyBlock * width);
        buffers.P = buffers.Dv + (KeyBlock * width);
        buffers.DS = buffers.P + (KeyBlock * Block);
        buffers.Dq = buffers.DS + (KeyBlock * Block);
        buffers.Lse = buffers.Dq + (Rows * width);
        buffers.Delta = buffers.Lse + Block;
        buffers.Distances = buffers.Delta + Block;
        long end = Math.Min((task + 1L) * UnitsPerTask, UnitCount * Problem.KvHeads);
        for (long i = (long)task * UnitsPerTask; i < end; i++) Run(Units[i / Problem.KvHeads], (int)(i % Problem.KvHeads), buffers);
    }

    private void Run(in AttentionUnit unit, int kvHead, in Buffers buffers)
    {
        int start = Problem.CuSeqLens[unit.Sequence], length = Problem.CuSeqLens[unit.Sequence + 1] - start;
        nint keyStride = (nint)Problem.KeyOffset(1, 0), width = Problem.HeadPanels * Lanes;
        for (int block = unit.FirstKey - (unit.FirstKey % KeyBlock); block < unit.EndKey; block += KeyBlock)
        {
            int keys = Math.Min(KeyBlock, length - block);
            if (unit.WritesDq)
                AttentionPack.Panels(Problem.K + Problem.KeyOffset(start + block, kvHead), keyStride, keys, Problem.HeadDim, buffers.K, KeyBlock * Lanes);
            int firstQuery = Math.Max(unit.FirstQuery, Problem.FirstQuery(block)), endQuery = Math.Min(unit.EndQuery, Problem.EndQuery(block + keys - 1, length));
            for (int h = kvHead * Problem.Group; h < (kvHead + 1) * Problem.Group; h++)
            {
                bool biasGradient = unit.WritesDkv && BiasParts != null;
                if (biasGradient) new Span<float>(buffers.Distances, MaxLength + KeyBlock + (2 * Lanes)).Clear();
                for (int query = firstQuery - (firstQuery % Block); query < endQuery; query += Block)
                    RunBlock(unit, h, query, Math.Min(Block, length - query), block, keys, biasGradient, buffers);
                if (biasGradient) SumBuckets(unit.Sequence, h, block, length, buffers);
            }

            if (!unit.WritesDkv) continue;
            for (int j = 0; j < keys; j++)
            {
                long offset = Problem.KeyOffset(start + block + j, kvHead);
                Write(buffers.Dk + (j * width), Dk + offset);
                Write(buffers.Dv + (j * width), Dv + offset);
            }
        }
    }

    /// <summary>What queries <paramref name="query"/> to <paramref name="query"/> + <paramref name="rows"/> of a head and the keys of a block give to each other's gradients.</summary>
    private void RunBlock(in AttentionUnit unit, int h, int query, int rows, int block, int keys, bool biasGradient, in Buffers buffers)
    {
        int start = Problem.CuSeqLens[unit.Sequence], length = Problem.CuSeqLens[unit.Sequence + 1] - start, d = Problem.HeadDim, panels = Problem.HeadPanels;
        nint keyStride = (nint)Problem.KeyOffset(1, 0), width = panels * Lanes;
        PackQueries(unit, h, start + query, rows, buffers);
        long keyOffset = Problem.KeyOffset(start + block, h / Problem.Group);
        bool firstHead = h % Problem.Group == 0;
        for (int j = 0; j < keys; j += Rows)
        {
            int count = Math.Min(Rows, keys - j), firstSeen = Problem.FirstQuery(block + j);
            int first = Math.Max(firstSeen, query) - query, end = Math.Min(Problem.EndQuery(block + j + count - 1, length), query + rows) - query;
            if (first >= end) continue;
            int firstPanel = first / Lanes, endPanel = (end + Lanes - 1) / Lanes;
            float* p = buffers.P + (j * Block), ds = buffers.DS + (j * Block);
            AttentionTile.Multiply(
                Problem.K + keyOffset + (j * keyStride), keyStride, 1, count, buffers.QT + (firstPanel * Lanes * (nint)d), Lanes * (nint)d, endPanel - firstPanel, d,
                p + (firstPanel * Lanes), Block, accumulate: false);
            AttentionTile.Multiply(
                Problem.V + keyOffset + (j * keyStride), keyStride, 1, count, buffers.DOT + (firstPanel * Lanes * (nint)d), Lanes * (nint)d, endPanel - firstPanel, d,
                ds + (firstPanel * Lanes), Block, accumulate: false);
            for (int panel = firstPanel; panel < endPanel; panel++)
                Differentiate(p + (panel * Lanes), ds + (panel * Lanes), h, query, panel * Lanes, rows, block + j, count, length, biasGradient, block, buffers);
            if (!unit.WritesDkv) continue;
            bool accumulate = !firstHead || firstSeen < query;
            AttentionTile.Multiply(
                p + first, Block, 1, Rows, buffers.DO + (first * Lanes), Block * Lanes, panels, end - first, buffers.Dv + (j * width), width, accumulate);
            AttentionTile.Multiply(
                ds + first, Block, 1, Rows, buffers.Q + (first * Lanes), Block * Lanes, panels, end - first, buffers.Dk + (j * width), width, accumulate);
        }

        if (!unit.WritesDq) return;
        for (int row = 0; row < rows; row += Rows)
        {
            int count = Math.Min(Rows, rows - row), firstSeen = Problem.FirstKey(query + row);
            int first = Math.Max(firstSeen, block), end = Math.Min(block + keys, Problem.EndKey(query + row + count - 1, length));
            if (first >= end) continue;
            AttentionTile.Multiply(
                buffers.DS + ((first - block) * Block) + row, 1, Block, Rows, buffers.K + ((first - block) * Lanes), KeyBlock * Lanes, panels, end - first,
                buffers.Dq, width, accumulate: false);
            for (int r = 0; r < count; r++)
            {
                float* source = buffers.Dq + (r * width), target = Dq + Problem.QueryOffset(start + query + row + r, h);
                if (firstSeen < block) Add(source, target);
                else Write(source, target);
            }
        }
    }

    /// <summary>q and dO of a block as columns and as rows, lse in units of log₂ e, and Σ dO∘O.</summary>
    private void PackQueries(in AttentionUnit unit, int h, int token, int rows, in Buffers buffers)
    {
        int d = Problem.HeadDim;
        long offset = Problem.QueryOffset(token, h);
        nint stride = (nint)Problem.QueryOffset(1, 0);
        float scale = Problem.Options.SoftCap > 0 ? Problem.Options.Scale / Problem.Options.SoftCap : Problem.Options.Scale * Log2E;
        AttentionPack.Transpose(Problem.Q + offset, stride, rows, d, scale, buffers.QT);
        AttentionPack.Transpose(DO + offset, stride, rows, d, 1, buffers.DOT);
        if (unit.WritesDkv)
        {
            AttentionPack.Panels(Problem.Q + offset, stride, rows, d, buffers.Q, Block * Lanes);
            AttentionPack.Panels(DO + offset, stride, rows, d, buffers.DO, Block * Lanes);
        }

        float* lse = Problem.Lse + ((long)h * Problem.Tokens) + token;
        for (int row = 0; row < rows; row++)
        {
            // A query without a key, lse = -∞, has probabilities of 0.
            buffers.Lse[row] = float.IsNegativeInfinity(lse[row]) ? float.PositiveInfinity : lse[row] * Log2E;
            buffers.Delta[row] = VectorMath.Dot(DO + offset + (row * stride), Problem.O + offset + (row * stride), d);
        }

        for (int row = rows; row % Lanes != 0; row++) (buffers.Lse[row], buffers.Delta[row]) = (float.PositiveInfinity, 0);
    }

    /// <summary>Turns logits into probabilities and dP into dS for <paramref name="count"/> keys from <paramref name="key"/> on and 16 queries.</summary>
    private void Differentiate(
        float* p, float* ds, int h, int query, int lane, int rows, int key, int count, int length, bool biasGradient, int block, in Buffers buffers)
    {
        int first = query + lane, last = Math.Min(first + Lanes, query + rows) - 1;
        bool masked = Problem.FirstKey(last) > key || Problem.EndKey(first, length) < key + count;
        Vector512<float> lse = Vector512.Load(buffers.Lse + lane), delta = Vector512.Load(buffers.Delta + lane), scale = Vector512.Create(Problem.Options.Scale);
        if (!masked && Problem.Options.SoftCap == 0 && Problem.Bias == null)
        {
            for (int r = 0; r < count; r++, p += Block, ds += Block)
            {
                Vector512<float> probability = VectorMath.Exp2(Vector512.Load(p) - lse);
                probability.Store(p);
                ((Vector512.Load(ds) - delta) * probability * scale).Store(ds);
            }

            return;
        }

        float cap = Problem.Options.SoftCap * Log2E;
        for (int r = 0; r < count; r++, p += Block, ds += Block)
        {
            int j = key + r;
            Vector512<float> logit = Vector512.Load(p), slope = scale;
            if (cap > 0)
            {
                Vector512<float> tanh = VectorMath.Tanh(logit);
                logit = tanh * cap;
                slope *= Vector512<float>.One - (tanh * tanh);
            }

            if (Problem.Bias != null) logit += Vector512.Load(Problem.Bias + (h * Problem.BiasStride) + first - j);
            Vector512<float> visible = AttentionForwardJob.Visible(first, Problem.FirstQuery(j), Problem.EndQuery(j, length));
            Vector512<float> probability = VectorMath.Exp2(logit - lse) & visible, gradient = (Vector512.Load(ds) - delta) * probability;
            probability.Store(p);
            (gradient * slope).Store(ds);
            if (!biasGradient) continue;
            float* distance = buffers.Distances + (first - j + block + KeyBlock);
            (Vector512.Load(distance) + gradient).Store(distance);
        }
    }

    /// <summary>Sums the gradient by distance into the buckets of this block of keys.</summary>
    private void SumBuckets(int sequence, int h, int block, int length, in Buffers buffers)
    {
        float* part = BiasParts + ((((long)FirstBiasPart[sequence] + (block / KeyBlock)) * Problem.Heads) + h) * Buckets;
        new Span<float>(part, Buckets).Clear();
        for (int distance = Math.Max(-KeyBlock - block, 1 - length); distance < length - block; distance++)
            part[RelativeBuckets.Bucket(-distance, Buckets, Problem.Options.RelativeMaxDistance)] += buffers.Distances[distance + block + KeyBlock];
    }

    private void Write(float* source, float* target)
    {
        int d = Problem.HeadDim, x = 0;
        for (; x <= d - Lanes; x += Lanes) Vector512.Load(source + x).Store(target + x);
        if (x < d) VectorMath.StorePartial(Vector512.Load(source + x), target + x, d - x);
    }

    private void Add(float* source, float* target)
    {
        int d = Problem.HeadDim, x = 0;
        for (; x <= d - Lanes; x += Lanes) (Vector512.Load(target + x) + Vector512.Load(source + x)).Store(target + x);
        for (; x < d; x++) target[x] += source[x];
    }

    /// <summary>Working memory of one task.</summary>
    private struct Buffers
    {
        /// <summary>Queries and dO as columns, [panels][D][16 queries]; the queries scaled.</summary>
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
