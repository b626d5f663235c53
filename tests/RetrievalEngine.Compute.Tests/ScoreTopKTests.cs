using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using NUnit.Framework;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Compute.Tests;

[TestFixtureSource(typeof(Backends), nameof(Backends.WithoutActivations))]
[Category("Ops")]
internal sealed class ScoreTopKTests(TestBackend backend)
{
    private static readonly DType[] s_types = [DType.F32, DType.F16, DType.BF16, DType.I8];

    private static IEnumerable<Case> Cases()
    {
        foreach (DType dtype in s_types)
        {
            yield return new Case(1, 100, 20, 7, dtype);
            yield return new Case(9, 700, 33, 50, dtype);
            yield return new Case(3, 5, 64, 8, dtype);
            foreach (int queries in (int[])[1, 9, 40]) yield return new Case(queries, 700, 33, 50, dtype) { HasTerms = true };
            yield return new Case(12, 300, 40, 30, dtype) { HasTerms = true, HasScales = true };
            yield return new Case(150, 400, 80, 5, dtype);
            // Rows that are scored in chunks.
            yield return new Case(7, 131, 1090, 10, dtype);
        }

        // Queries that a CPU scans in integers, alone and in tiles, rows and widths that are no whole tiles and steps.
        foreach (int queries in (int[])[1, 2, 3, 4, 5, 6, 13, 60]) yield return new Case(queries, 131, 70, 10, DType.I8) { IsWhole = true, HasTerms = queries % 2 == 0 };
        foreach (int width in Sizes.VectorOrNone)
        {
            foreach (int queries in (int[])[1, 7]) yield return new Case(queries, 41, width, 5, DType.I8) { IsWhole = true };
        }

        foreach (int queries in (int[])[2, 3, 4, 5, 6, 7, 13]) yield return new Case(queries, 131, 48, 10, DType.F32);
        foreach (int width in Sizes.VectorOrNone) yield return new Case(7, 40, width, 5, DType.BF16);
        foreach (int rows in (int[])[1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 2000]) yield return new Case(2, rows, 24, 12, DType.F32);
        yield return new Case(300, 900, 16, 3, DType.F32);
        yield return new Case(2, 3000, 8, 3000, DType.F32);
        yield return new Case(2, 3000, 8, 1, DType.F32);
        yield return new Case(0, 30, 8, 4, DType.F32);
        yield return new Case(3, 0, 8, 4, DType.F32);
        yield return new Case(3, 30, 8, 0, DType.F32);
    }

    [TestCaseSource(nameof(Cases))]
    public void Finds_the_best(Case c)
    {
        Data data = new(c, 1, backend);
        (float[] scores, long[] indices) = data.Search(firstRow: 1000);
        for (int query = 0; query < c.Queries; query++)
        {
            (double Score, int Row)[] expected =
                [.. data.Exact(query).Select((score, row) => (score, row)).Where(s => !double.IsNaN(s.score)).OrderByDescending(s => s.score).ThenBy(s => s.row)];
            HashSet<long> seen = [];
            for (int place = 0; place < c.K; place++)
            {
                float score = scores[query * c.K + place];
                long index = indices[query * c.K + place];
                if (place >= expected.Length)
                {
                    Assert.That((score, index), Is.EqualTo((float.NegativeInfinity, -1L)));
                    continue;
                }

                // Rows whose scores differ by rounding alone may have changed places.
                Assert.That(score, Is.EqualTo(expected[place].Score).Within(2e-5), $"query {query}, place {place}");
                Assert.That(score, Is.EqualTo(data.Exact(query)[index - 1000]).Within(2e-5), $"query {query}, place {place}");
                Assert.That(seen.Add(index), $"row {index} twice");
                if (place > 0) Assert.That(scores[query * c.K + place - 1], Is.GreaterThanOrEqualTo(score));
            }
        }

        if (data.Backend != Backends.All.First(b => b.Family == backend.Family))
            Assert.That(new Data(c, 1, Backends.All[0]).Search(1000), Is.EqualTo((scores, indices)), "on one thread");
        long blocks = DeviceMemory.LiveBlocks;
        Assert.That(data.Search(1000), Is.EqualTo((scores, indices)), "on a second run");
        Assert.That(DeviceMemory.LiveBlocks, Is.EqualTo(blocks), "blocks of memory left over by the op");
        data.Alignment = backend.Alignment;
        Assert.That(data.Search(1000), Is.EqualTo((scores, indices)), "with rows that begin anywhere");
    }

    [Test]
    public void Scores_do_not_depend_on_the_other_queries([ValueSource(nameof(s_types))] DType dtype, [Values(5, 64, 770, 2090)] int width)
    {
        Case c = new(40, 300, width, 20, dtype);
        Data data = new(c, 2, backend);
        foreach (int query in (int[])[0, 3, 6, 7, 11, 20, 39]) data.Round(query);
        (float[] scores, long[] indices) = data.Search(0);
        foreach ((int first, int count) in new[] { (0, 1), (39, 1), (3, 2), (5, 6), (0, 7), (10, 17) })
        {
            (float[] some, long[] rows) = data.Search(0, first, count);
            Assert.That(some, Is.EqualTo(scores.Skip(first * c.K).Take(count * c.K)), $"{count} queries from {first}");
            Assert.That(rows, Is.EqualTo(indices.Skip(first * c.K).Take(count * c.K)));
        }
    }

    [Test]
    public void Sums_of_fixed_point_queries_and_bytes_are_exact([Values(1, 6)] int queries)
    {
        if (backend.Family != "CPU" || !FixedPoint.IsQuick) Assert.Ignore("only a CPU with AVX-512 adds them up in integers");
        // Nearly the largest sums there can be: ±128 · 512 · 32767.
        Case c = new(queries, 2, 512, 2, DType.I8);
        Data data = new(c, 8, backend);
        Array.Fill(data.Queries, -32767 / 1024.0);
        Array.Fill(data.Scales, 1);
        Array.Fill(data.RowValues, -128, 0, 512);
        Array.Fill(data.RowValues, 127, 512, 512);
        (float[] scores, _) = data.Search(0);
        Assert.That(scores.Take(2), Is.EqualTo(new[] { 128f * 512 * 32767 / 1024, -127f * 512 * 32767 / 1024 }));
    }

    [Test]
    public void Ties_go_to_the_lower_row([Values(1, 4, 9)] int queries)
    {
        Case c = new(queries, 1000, 8, 30, DType.F32);
        Data data = new(c, 3, backend);
        for (int row = 0; row < c.Rows; row++) Array.Copy(data.RowValues, row % 3 * 8, data.RowValues, row * 8, 8);
        (_, long[] indices) = data.Search(0);
        for (int query = 0; query < queries; query++)
        {
            int best = Enumerable.Range(0, 3).OrderByDescending(row => data.Exact(query)[row]).First();
            Assert.That(indices.Skip(query * c.K).Take(c.K), Is.EqualTo(Enumerable.Range(0, c.K).Select(i => (long)(best + 3 * i))));
        }

        Array.Clear(data.RowValues);
        (float[] zeros, long[] first) = data.Search(5);
        Assert.That(zeros, Is.All.EqualTo(0f));
        Assert.That(first.Take(c.K), Is.EqualTo(Enumerable.Range(5, c.K).Select(i => (long)i)));
    }

    [Test]
    public void Shards_merge_to_the_same_lists_in_any_order([ValueSource(nameof(s_types))] DType dtype)
    {
        Case c = new(5, 500, 24, 40, dtype);
        Data data = new(c, 4, backend);
        for (int row = 0; row < 60; row++) Array.Copy(data.RowValues, 0, data.RowValues, (row * 7 + 30) * 24, 24);
        (float[], long[]) whole = data.Search(0);
        int[] borders = [0, 20, 21, 250, 500];
        foreach (int[] order in (int[][])[[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]])
            Assert.That(data.SearchShards([.. order.Select(i => (borders[i], borders[i + 1] - borders[i]))]), Is.EqualTo(whole),
                string.Join(",", order));
    }

    [Test]
    public void Rows_in_any_order_are_found([Values] Order order, [Values(1, 9)] int queries, [Values(3, 700)] int k)
    {
        // Each row is a multiple of one direction, so that its place is known without scores.
        Case c = new(queries, 20_000, 8, k, DType.F16);
        Data data = new(c, 6, backend);
        int[] steps = [.. Enumerable.Range(0, c.Rows)];
        if (order == Order.Shuffled) new Random(1).Shuffle(steps);
        for (int row = 0; row < c.Rows; row++)
        {
            int step = order switch { Order.Falling => c.Rows - row, Order.Equal => 1, Order.Levels => row / 9000 + 1, _ => steps[row] };
            // Exact in F16: 2 steps of 11 bits and a rest.
            for (int i = 0; i < 8; i++) data.RowValues[row * 8 + i] = i switch { 0 => step >> 8, 1 => step & 255, _ => 0 };
        }

        for (int query = 0; query < queries; query++)
        {
            data.Queries.AsSpan(query * 8, 8).Clear();
            (data.Queries[query * 8], data.Queries[query * 8 + 1]) = (256 * (query + 1), query + 1);
        }

        (float[] scores, long[] indices) = data.Search(0);
        double[] exact = data.Exact(0);
        int[] expected = [.. Enumerable.Range(0, c.Rows).OrderByDescending(row => exact[row]).ThenBy(row => row).Take(k)];
        for (int query = 0; query < queries; query++)
        {
            Assert.That(indices.Skip(query * k).Take(k), Is.EqualTo(expected.Select(row => (long)row)), $"query {query}");
            Assert.That(scores[query * k], Is.EqualTo((float)(exact[expected[0]] * (query + 1))));
        }
    }

    [Test]
    public void Queries_that_are_zero_or_not_numbers_leave_the_others_alone([Values(1, 9)] int queries)
    {
        Case c = new(queries + 3, 9000, 16, 20, DType.BF16);
        Data data = new(c, 7, backend);
        data.Queries.AsSpan(0, 3 * 16).Clear();
        data.Queries[16] = double.NaN;
        data.Queries[32] = double.PositiveInfinity;
        (float[] scores, long[] indices) = data.Search(0);
        Assert.That(indices.Take(20), Is.EqualTo(Enumerable.Range(0, 20).Select(i => (long)i)));
        Assert.That(scores.Take(20), Is.All.EqualTo(0f));
        Assert.That(indices.Skip(20).Take(20), Is.All.EqualTo(-1L));
        Assert.That(scores.Skip(40).Take(20), Is.All.EqualTo(float.PositiveInfinity));
        (float[], long[]) alone = data.Search(0, 3, queries);
        Assert.That((scores.Skip(60).ToArray(), indices.Skip(60).ToArray()), Is.EqualTo(alone));
    }

    [Test]
    public void Rows_that_are_not_numbers_are_never_found()
    {
        Case c = new(2, 50, 4, 50, DType.F32);
        Data data = new(c, 5, backend);
        data.RowValues[4 * 7] = double.NaN;
        (float[] scores, long[] indices) = data.Search(0);
        Assert.That(indices.Take(50), Has.No.Member(7L));
        Assert.That((indices[49], scores[49]), Is.EqualTo((-1L, float.NegativeInfinity)));
    }

    [Test]
    public void Bad_arguments_are_refused()
    {
        using GuardedTensors t = new(backend.Device.Value, backend.Alignment);
        t.Add("q", new Shape(2, 4), DType.F32, new byte[32]);
        t.Add("rows", new Shape(3, 4), DType.F32, new byte[48]);
        t.Add("narrow", new Shape(3, 3), DType.F32, new byte[36]);
        t.Add("bytes", new Shape(3, 4), DType.I8, new byte[12]);
        t.Add("scales", new Shape(3), DType.F32, new byte[12]);
        t.Add("scores", new Shape(2, 1), DType.F32, new byte[8]);
        t.Add("ids", new Shape(2, 1), DType.I64, new byte[16]);
        t.Add("ids2", new Shape(2, 2), DType.I64, new byte[32]);
        IBackend b = backend.Device.Value;
        Assert.That(() => b.ScoreTopK(t["q"], t["narrow"], default, default, 0, t["scores"], t["ids"], false), Throws.ArgumentException);
        Assert.That(() => b.ScoreTopK(t["q"], t["rows"], t["scales"].Slice(0, 2), default, 0, t["scores"], t["ids"], false), Throws.ArgumentException);
        Assert.That(() => b.ScoreTopK(t["q"], t["rows"], default, t["scales"].Slice(0, 2), 0, t["scores"], t["ids"], false), Throws.ArgumentException);
        Assert.That(() => b.ScoreTopK(t["q"], t["bytes"], default, default, 0, t["scores"], t["ids"], false), Throws.ArgumentException);
        Assert.That(() => b.ScoreTopK(t["q"], t["rows"], default, default, 0, t["scores"], t["ids2"], false), Throws.ArgumentException);
        Assert.That(() => b.ScoreTopK(t["q"], t["rows"], default, default, -1, t["scores"], t["ids"], false), Throws.ArgumentException);
        Assert.That(() => b.ScoreTopK(t["q"], t["rows"], default, default, 0, t["ids"], t["scores"], false), Throws.ArgumentException);
    }

    public enum Order
    {
        Rising,
        Falling,
        Shuffled,
        Equal,
        Levels,
    }

    public sealed record Case(int Queries, int Rows, int Width, int K, DType DType)
    {
        public bool HasTerms { get; init; }

        public bool IsWhole { get; init; }

        public bool HasScales { get; init; } = DType == DType.I8;
    }

    private sealed class Data
    {
        private readonly Case _case;
        private readonly double[] _terms;

        public Data(Case c, int seed, TestBackend backend)
        {
            (_case, Backend) = (c, backend);
            RandomTensors random = new(seed + c.Rows);
            Queries = random.Normal(c.Queries * c.Width, 0.3);
            RowValues = c.DType == DType.I8
                ? [.. random.Integers(c.Rows * c.Width, 255).Select(i => i - 127.0)]
                : random.Normal(c.Rows * c.Width, 0.3, c.DType);
            Scales = c.DType == DType.I8 ? random.Uniform(c.Rows, 0.001, 0.002)
                : c.HasScales ? random.Uniform(c.Rows, 0.5, 2) : [.. Enumerable.Repeat(1.0, c.Rows)];
            for (int query = 0; c.IsWhole && query < c.Queries; query++) Round(query);
            // Runs of rows that are not searched, whole blocks among them, and single ones.
            _terms = c.HasTerms
                ? [.. random.Normal(c.Rows, 0.5).Select((term, row) => row % 7 == 3 || row is > 100 and < 400 ? double.NaN : term)]
                : new double[c.Rows];
        }

        public TestBackend Backend { get; }

        public double[] RowValues { get; }

        public double[] Queries { get; }

        public double[] Scales { get; }

        public int Alignment { get; set; } = 16;

        public void Round(int query)
        {
            Span<double> values = Queries.AsSpan(query * _case.Width, _case.Width);
            float[] rounded = [.. values.ToArray().Select(x => (float)x)];
            Assert.That(FixedPoint.TryRound(rounded), Is.True);
            for (int i = 0; i < rounded.Length; i++) values[i] = rounded[i];
        }

        public double[] Exact(int query) =>
            [.. Enumerable.Range(0, _case.Rows).Select(row => _terms[row] + Scales[row] * Enumerable.Range(0, _case.Width)
                .Sum(i => Queries[query * _case.Width + i] * RowValues[row * _case.Width + i]))];

        public (float[] Scores, long[] Indices) Search(long firstRow, int firstQuery = 0, int? queries = null) =>
            Search(firstQuery, queries ?? _case.Queries, [(0, _case.Rows)], firstRow);

        public (float[] Scores, long[] Indices) SearchShards((int First, int Count)[] shards) => Search(0, _case.Queries, shards, 0);

        private (float[] Scores, long[] Indices) Search(int firstQuery, int queries, (int First, int Count)[] shards, long firstRow)
        {
            IBackend device = Backend.Device.Value;
            float[] scores = new float[queries * _case.K];
            long[] indices = new long[queries * _case.K];
            using (GuardedTensors t = new(device, Backend.Alignment))
            {
                bool bytes = _case.DType == DType.I8;
                t.Add("queries", new Shape(_case.Queries, _case.Width), DType.F32, Storage.Pack(Queries, DType.F32));
                t.Add("rows", new Shape(_case.Rows, _case.Width), _case.DType,
                    bytes ? [.. RowValues.Select(value => (byte)(sbyte)value)] : Storage.Pack(RowValues, _case.DType));
                if (_case.HasTerms) t.Add("terms", new Shape(_case.Rows), DType.F32, Storage.Pack(_terms, DType.F32));
                t.Add("scales", new Shape(_case.Rows), DType.F32, Storage.Pack(Scales, DType.F32));
                t.Add("scores", new Shape(queries, _case.K), DType.F32, new byte[scores.Length * 4]);
                t.Add("indices", new Shape(queries, _case.K), DType.I64, new byte[indices.Length * 8]);
                bool merge = false;
                foreach ((int first, int count) in shards)
                {
                    Tensor scales = _case.HasScales ? t["scales"].Slice(first, count) : default;
                    Tensor terms = _case.HasTerms ? t["terms"].Slice(first, count) : default;
                    Tensor some = t["queries"].Slice(firstQuery, queries), rows = t["rows"].Slice(first, count);
                    device.ScoreTopK(some, rows, scales, terms, firstRow + first, t["scores"], t["indices"], merge);
                    merge = true;
                }

                device.Synchronize();
                t.CheckGuards();
                t.Download("scores").CopyTo(MemoryMarshal.AsBytes(scores.AsSpan()));
                t.Download("indices").CopyTo(MemoryMarshal.AsBytes(indices.AsSpan()));
            }

            return (scores, indices);
        }
    }
}
