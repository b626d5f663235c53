using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using NUnit.Framework;
using RetrievalEngine.Compute;
using RetrievalEngine.Search;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Tests.Search;

[TestFixtureSource(typeof(Backends), nameof(Backends.WithoutActivations))]
internal sealed class FlatIndexTests(TestBackend backend)
{
    private IBackend _backend = null!;
    private Arena _arena = null!;
    private Arena _hostArena = null!;

    [SetUp]
    public void SetUp()
    {
        _backend = backend.Device.Value;
        _arena = new Arena(_backend);
        _hostArena = new Arena(Backends.All[0].Device.Value);
    }

    [TearDown]
    public void TearDown()
    {
        _arena.Dispose();
        _hostArena.Dispose();
    }

    [TestCase(1, 1, 1, new[] { 1 })]
    [TestCase(3, 5, 7, new[] { 4, 1, 9 })]
    [TestCase(17, 33, 10, new[] { 100 })]
    [TestCase(5, 64, 200, new[] { 37, 0, 120, 1 })]
    [TestCase(100, 8, 3, new[] { 50, 51 })]
    [TestCase(2, 40, 300, new[] { 300 })]
    public void Search_AnyShards_EqualsSortingAllScores(int queries, int dimensions, int k, int[] shardRows)
    {
        foreach (Metric metric in Enum.GetValues<Metric>())
        {
            foreach (bool isBinary in (bool[])[false, true])
            {
                Data data = new(queries, dimensions, shardRows.Sum(), 7) { Metric = metric, IsBinary = isBinary };
                FlatIndex index = Index(data, shardRows);
                data.Check(index.Search(data.Queries, k), static (_, _) => true);
            }
        }
    }

    [Test]
    public void Filter_Deletion_AndExclusion_AreInsideTheScan([Values] Metric metric, [Values(1, 9)] int queries, [Values] bool isBinary)
    {
        Data data = new(queries, 24, 500, 3) { Metric = metric, IsBinary = isBinary, Deleted = [0, 7, 130, 131, 499] };
        FlatIndex index = Index(data, [200, 300]);
        foreach (int share in (int[])[2, 70, 100, 1000])
        {
            RowSet allowed = new(500, Enumerable.Range(0, 500).Where(row => row * 7919 % share == 0).Select(row => (long)row));
            long[] own = [.. Enumerable.Range(0, queries).Select(q => q % 3 == 0 ? -1L : q * 50)];
            SearchResults results = index.Search(data.Queries, 40, new SearchOptions { Filter = allowed, ExcludedRows = own });
            data.Check(results, (query, row) => allowed.Contains(row) && own[query] != row);
        }

        data.Check(index.Search(data.Queries, 3, new SearchOptions { Filter = new RowSet(500) }), static (_, _) => false);
    }

    [Test]
    public void Distances_OfNearVectors_KeepTheirDigits()
    {
        // All vectors lie close together and far from zero: |q|² - 2 q·x + |x|² would lose every digit of the differences.
        Random random = new(5);
        Data data = new(3, 16, 400, 1) { Metric = Metric.L2 };
        for (int i = 0; i < data.Vectors.Length; i++) data.Vectors[i] = 1000 + (float)random.NextDouble() / 16;
        for (int i = 0; i < data.Queries.Length; i++) data.Queries[i] = 1000 + (float)random.NextDouble() / 16;
        // And some are the same.
        data.Vectors.AsSpan(0, 16).CopyTo(data.Vectors.AsSpan(160));
        FlatIndex index = Index(data, [150, 250]);
        SearchResults results = index.Search(data.Queries, 5);
        data.Check(results, static (_, _) => true);
        Assert.That(results.Candidates, Is.All.GreaterThan(100), "the scan's scores are all the same, so their order proves nothing");
    }

    [Test]
    public void OneQueryOrMany_AnyShards_AnyCompany_SameBits([Values] Metric metric)
    {
        Data data = new(40, 48, 500, 3, whole: false) { Metric = metric };
        FlatIndex index = Index(data, [300, 200]), other = Index(data, [1, 499]);
        SearchResults all = index.Search(data.Queries, 12), same = other.Search(data.Queries, 12);
        Assert.That((same.Scores, same.Rows), Is.EqualTo((all.Scores, all.Rows)));
        for (int q = 0; q < 40; q++)
        {
            SearchResults one = index.Search(data.Queries.AsSpan(q * 48, 48), 12);
            Assert.That((one.Scores, one.Rows), Is.EqualTo((all.ScoresOf(q).ToArray(), all.RowsOf(q).ToArray())));
        }
    }

    [Test]
    public void ManyThreads_EachGetTheirOwn()
    {
        Data data = new(64, 32, 3000, 4, whole: false);
        FlatIndex index = Index(data, [3000]);
        RowSet even = new(3000, Enumerable.Range(0, 1500).Select(i => 2L * i));
        SearchOptions filtered = new() { Filter = even };
        SearchResults all = index.Search(data.Queries, 30), ofEven = index.Search(data.Queries, 30, filtered);
        int rounds = backend.Family == "CPU" ? 20 : 1;
        Parallel.For(0, 8 * rounds, new ParallelOptions { MaxDegreeOfParallelism = 8 }, i =>
        {
            int q = i * 37 % 64, k = 1 + i % 30;
            bool restricted = i % 3 == 0;
            SearchResults one = index.Search(data.Queries.AsSpan(q * 32, 32), k, restricted ? filtered : null), expected = restricted ? ofEven : all;
            Assert.That((one.Scores, one.Rows), Is.EqualTo((expected.ScoresOf(q)[..k].ToArray(), expected.RowsOf(q)[..k].ToArray())));
        });
    }

    [Test]
    public void Prefix_FindsCandidates_ThatAllElementsRank([Values] Metric metric, [Values] bool isBinary)
    {
        Data data = new(5, 48, 700, 6, whole: false) { Metric = metric, IsBinary = isBinary, Deleted = [3, 4] };
        FlatIndex index = Index(data, [300, 400]);
        SearchOptions options = new() { PrefixDimensions = 16, RescoreMultiplier = 3, Filter = new RowSet(700, Enumerable.Range(0, 650).Select(i => (long)i)) };
        SearchResults results = index.Search(data.Queries, 8, options);
        for (int q = 0; q < 5; q++)
        {
            long[] candidates = [.. data.Sorted(q, 16).Where(row => row < 650).Take(24)];
            long[] expected = [.. data.Sorted(q, 48).Where(candidates.Contains).Take(8)];
            Assert.That(results.RowsOf(q).ToArray(), Is.EqualTo(expected));
            Assert.That(results.Proofs[q], Is.EqualTo(SearchProof.None));
        }

        // With candidates enough it is the full search.
        SearchResults whole = index.Search(data.Queries, 8, options with { RescoreMultiplier = 100 });
        Assert.That(whole.Rows, Is.EqualTo(index.Search(data.Queries, 8, options with { PrefixDimensions = null }).Rows));
    }

    [TestCase(1, 10)]
    [TestCase(40, 10)]
    [TestCase(3, 700)]
    public void Codes_ProveTheResultOfTheVectors(int queries, int k)
    {
        if (_backend.FreeBytes is not null)
        {
            Assert.That(() => Index(new Data(1, 8, 3, 1), [3], hasCodes: true), Throws.ArgumentException.With.Message.Contains("scanned on the host"));
            return;
        }

        foreach (Metric metric in (Metric[])[Metric.InnerProduct, Metric.Cosine])
        {
            Data data = new(queries, 96, 3000, 8, whole: false) { Metric = metric, Deleted = [5, 6, 1700] };
            FlatIndex index = Index(data, [1000, 1, 1999], hasCodes: true);
            RowSet filter = new(3000, Enumerable.Range(0, 2900).Select(i => (long)i));
            foreach (SearchOptions options in (SearchOptions[])[new(), new() { Filter = filter }])
            {
                SearchResults full = index.Search(data.Queries, k, options with { Scan = ScanKind.Full });
                SearchResults codes = index.Search(data.Queries, k, options with { Scan = ScanKind.Codes });
                Assert.That((codes.Scores, codes.Rows), Is.EqualTo((full.Scores, full.Rows)));
                Assert.That(full.Proofs, Is.All.EqualTo(SearchProof.Scanned));
                Assert.That(codes.Proofs, Is.All.EqualTo(SearchProof.Proven));
                Assert.That(codes.Candidates, Is.All.InRange(k, k < 100 ? 600 : 3000));
            }
        }
    }

    [Test]
    public void Codes_ThatCannotTellRowsApart_AreLeftForTheVectors()
    {
        if (_backend.FreeBytes is not null) Assert.Ignore("codes are scanned on the host");
        // Rows that differ by less than a code's step, and a query of zeros, of which no bound proves anything.
        Data data = new(3, 64, 20_000, 9, whole: false);
        Random random = new(2);
        for (int i = 0; i < data.Vectors.Length; i++) data.Vectors[i] = 1 + random.NextSingle() / 4096;
        data.Queries.AsSpan(0, 64).Clear();
        FlatIndex index = Index(data, [20_000], hasCodes: true);
        SearchResults codes = index.Search(data.Queries, 5, new SearchOptions { Scan = ScanKind.Codes }), full = index.Search(data.Queries, 5);
        Assert.That((codes.Scores, codes.Rows), Is.EqualTo((full.Scores, full.Rows)));
        Assert.That(codes.Proofs, Is.All.EqualTo(SearchProof.Rescanned));
        Assert.That(index.Search(data.Queries, 5).Proofs, Is.All.EqualTo(SearchProof.Scanned), "not tried again");
    }

    [TestCase(3, 1)]
    [TestCase(64, 1e-3f)]
    [TestCase(1000, 1e12f)]
    public void CodesBound_TheFloat32Score_OfAnyOrderOfSums(int dimensions, float size)
    {
        Random random = new(dimensions);
        sbyte[] codes = new sbyte[dimensions];
        for (int round = 0; round < 300; round++)
        {
            float[] row = [.. Enumerable.Range(0, dimensions).Select(i => size * (random.NextSingle() - (round % 3 == 0 ? 0 : 0.5f)) * (i % 7 == round % 7 ? 20 : 1))];
            (float scale, float error) = ScanCodes.Encode(row, codes);
            // Queries that go along the rest are what the bound is for.
            float[] query = [.. row.Select((x, i) => round % 2 == 0 ? x - scale * codes[i] : random.NextSingle() - 0.3f)];
            double length = Math.Sqrt(query.Sum(x => (double)x * x));
            float[] unit = [.. query.Select(x => (float)(x / length))];
            foreach (bool backwards in (bool[])[false, true])
            {
                float score = 0, scanned = 0;
                for (int n = 0; n < dimensions; n++)
                {
                    int i = backwards ? dimensions - 1 - n : n;
                    score += query[i] * row[i];
                    scanned = MathF.FusedMultiplyAdd(unit[i], codes[i], scanned);
                }

                Assert.That((double)score, Is.LessThanOrEqualTo(ScanCodes.LargestScore((scale * scanned) + error, length, dimensions)), $"round {round}");
                if (round % 2 == 0 && round % 3 != 0)
                    Assert.That(score, Is.GreaterThan(ScanCodes.LargestScore(scale * scanned, length, dimensions)), "without the error it is no bound");
            }
        }
    }

    [Test]
    public void Range_FindsAllThatScoreEnough([Values] Metric metric)
    {
        Data data = new(6, 12, 1500, 11) { Metric = metric, Deleted = [2] };
        FlatIndex index = Index(data, [700, 800]);
        RowSet odd = new(1500, Enumerable.Range(0, 750).Select(i => 2L * i + 1));
        SearchOptions options = new() { Filter = odd, ExcludedRows = new long[] { 1, -1, -1, -1, -1, -1 } };
        SearchResults all = index.Search(data.Queries, 1500, options);
        // Of each a few, many, all.
        foreach (float threshold in (float[])[all.ScoresOf(0)[3], all.ScoresOf(0)[300], float.NegativeInfinity, float.PositiveInfinity])
        {
            RangeResults range = index.SearchRange(data.Queries, threshold, options);
            for (int q = 0; q < 6; q++)
            {
                int[] places = [.. Enumerable.Range(0, 1500).Where(i => all.RowsOf(q)[i] >= 0 && all.ScoresOf(q)[i] >= threshold)];
                Assert.That(range.RowsOf(q).ToArray(), Is.EqualTo(places.Select(i => all.RowsOf(q)[i])));
                Assert.That(range.ScoresOf(q).ToArray(), Is.EqualTo(places.Select(i => all.ScoresOf(q)[i])));
            }
        }

        Assert.That(() => index.SearchRange(data.Queries, float.NaN), Throws.ArgumentException);
    }

    [Test]
    public void MappedRows_AreGivenBack_WhereMemoryIsShort()
    {
        if (_backend.FreeBytes is not null) Assert.Ignore("a device has its own way of rows from the host");
        using TempFolder temp = new();
        float[] values = [.. Enumerable.Range(0, 300_000).Select(i => (float)(i * 7919 % 1000))];
        System.IO.File.WriteAllBytes(temp.File("rows"), System.Runtime.InteropServices.MemoryMarshal.AsBytes(values.AsSpan()).ToArray());
        using Compute.Cpu.MappedFile file = Compute.Cpu.MappedFile.Open(temp.File("rows"));
        using DeviceMemory memory = file.View(0, file.Length);
        VectorShard shard = new(new Tensor(memory, 0, new Shape(10_000, 30), DType.F32));
        FlatIndex index = new(_backend, 30, [shard]), streaming = new(_backend, 30, [shard]) { MemoryBytes = 1 << 20 };
        SearchResults expected = index.Search(values.AsSpan(0, 300), 20), found = streaming.Search(values.AsSpan(0, 300), 20);
        Assert.That((found.Scores, found.Rows), Is.EqualTo((expected.Scores, expected.Rows)));
        Assert.That(memory.Length, Is.EqualTo(values.Length * sizeof(float)));
    }

    [Test]
    public void NoQueries_FindNothing()
    {
        FlatIndex index = Index(new Data(1, 2, 1, 1), [1]);
        Assert.That(index.Search([], 5).Rows, Is.Empty);
    }

    [TestCase(1)]
    [TestCase(100)]
    public void Cancelled_Stops(int queries)
    {
        Data data = new(queries, 8, 20, 1);
        FlatIndex index = Index(data, [20]);
        Assert.That(() => index.Search(data.Queries, 1, cancellation: new CancellationToken(canceled: true)), Throws.InstanceOf<OperationCanceledException>());
        // Between two blocks of rows, and it can be used afterwards.
        using CancellationTokenSource source = new();
        FlatIndex many = Index(data, [5, 5, 5, 5]);
        SearchOptions stopping = new() { Progress = new Stop(source) };
        Assert.That(() => many.Search(data.Queries, 1, stopping, source.Token), Throws.InstanceOf<OperationCanceledException>());
        data.Check(many.Search(data.Queries, 3), static (_, _) => true);
    }

    [Test]
    public void WhatDoesNotFit_IsNamed()
    {
        FlatIndex index = Index(new Data(1, 2, 3, 1), [3]);
        Assert.That(() => index.Search([1, 1, 1], 1), Throws.ArgumentException.With.Message.Contains("no queries of 2"));
        Assert.That(() => index.Search([1, 1], 1, new SearchOptions { Filter = new RowSet(4) }), Throws.ArgumentException.With.Message.Contains("there are 3"));
        Assert.That(() => index.Search([1, 1], 1, new SearchOptions { ExcludedRows = new long[2] }), Throws.ArgumentException.With.Message.Contains("each of 1"));
        Assert.That(() => index.Search([1, 1], 1, new SearchOptions { PrefixDimensions = 3 }), Throws.ArgumentException.With.Message.Contains("vectors of 2"));
        Assert.That(() => index.Search(new float[20000], int.MaxValue / 5000), Throws.ArgumentException.With.Message.Contains("too many at once"));
        Tensor shard = _arena.Allocate(new Shape(3, 4));
        Assert.That(() => new FlatIndex(_backend, 5, [new VectorShard(shard)]), Throws.ArgumentException.With.Message.Contains("must be [rows, 5]"));
        Assert.That(() => new FlatIndex(_backend, 4, [new VectorShard(shard)], Metric.L2), Throws.ArgumentException.With.Message.Contains("terms"));
    }

    private FlatIndex Index(Data data, int[] shardRows, bool hasCodes = false)
    {
        List<VectorShard> shards = [], originals = [], codes = [];
        int first = 0, d = data.Dimensions;
        foreach (int count in shardRows)
        {
            float[] scales = [.. Enumerable.Repeat(data.Scale, count)];
            float[] terms = [.. Enumerable.Range(first, count).Select(row => data.Deleted.Contains(row) ? float.NaN
                : data.Metric == Metric.L2 ? (float)(-data.Row(row).Sum(x => x * x) / 2) : 0)];
            Tensor host = data.IsBinary ? Upload<byte>(_hostArena, DType.I8, new Shape(count, (d + 7) / 8), data.Bits(first, count))
                : Upload<float>(_hostArena, DType.F32, new Shape(count, d), data.Vectors.AsSpan(first * d, count * d));
            originals.Add(new VectorShard(host, data.IsBinary ? Upload<float>(_hostArena, DType.F32, new Shape(count), scales) : default) { IsBinary = data.IsBinary });
            shards.Add(new VectorShard(
                data.IsBinary ? host : Upload<float>(_arena, DType.F32, new Shape(count, d), data.Vectors.AsSpan(first * d, count * d)),
                data.IsBinary ? Upload<float>(_arena, DType.F32, new Shape(count), scales) : default)
            {
                IsBinary = data.IsBinary,
                Terms = data.Metric == Metric.L2 || data.Deleted.Count > 0 ? Upload<float>(_arena, DType.F32, new Shape(count), terms) : default,
            });
            if (hasCodes) codes.Add(Codes(data, first, count));
            first += count;
        }

        return new FlatIndex(_backend, d, shards, data.Metric, originals, codes);
    }

    private VectorShard Codes(Data data, int first, int count)
    {
        int d = data.Dimensions;
        sbyte[] codes = new sbyte[count * d];
        float[] scales = new float[count], errors = new float[count];
        for (int i = 0; i < count; i++)
        {
            (scales[i], errors[i]) = ScanCodes.Encode(data.Vectors.AsSpan((first + i) * d, d), codes.AsSpan(i * d, d));
            if (data.Deleted.Contains(first + i)) errors[i] = float.NaN;
        }

        return new VectorShard(Upload<sbyte>(_arena, DType.I8, new Shape(count, d), codes), Upload<float>(_arena, DType.F32, new Shape(count), scales))
        {
            Terms = Upload<float>(_arena, DType.F32, new Shape(count), errors),
        };
    }

    private Tensor Upload<T>(Arena arena, DType dtype, Shape shape, ReadOnlySpan<T> values)
        where T : unmanaged
    {
        Tensor tensor = arena.Allocate(shape, dtype);
        (arena == _arena ? _backend : Backends.All[0].Device.Value).Upload(values, tensor);
        return tensor;
    }

    private sealed class Stop(CancellationTokenSource source) : IProgress<ProgressUpdate>
    {
        public void Report(ProgressUpdate value) => source.Cancel();
    }

    /// <summary>Vectors, and what is found among them, in double.</summary>
    private sealed class Data
    {
        public Data(int queries, int dimensions, int rows, int seed, bool whole = true)
        {
            Random random = new(seed);
            // Small whole numbers: products and sums are exact, and many scores tie.
            float Next() => whole ? random.Next(-2, 3) : random.NextSingle() - 0.5f;
            Dimensions = dimensions;
            Vectors = [.. Enumerable.Range(0, rows * dimensions).Select(_ => Next())];
            Queries = [.. Enumerable.Range(0, queries * dimensions).Select(_ => Next())];
        }

        public int Dimensions { get; }

        public float[] Vectors { get; }

        public float[] Queries { get; }

        public bool IsBinary { get; init; }

        public IReadOnlyList<long> Deleted { get; init; } = [];

        public Metric Metric
        {
            get;
            init
            {
                field = value;
                for (int at = 0; value == Metric.Cosine && at < Vectors.Length; at += Dimensions) UnitLength.Scale(Vectors.AsSpan(at, Dimensions));
            }
        }

        public float Scale => Metric == Metric.Cosine ? (float)(1 / Math.Sqrt(Dimensions)) : 0.5f;

        private int Rows => Vectors.Length / Dimensions;

        public double[] Row(int row) => [.. Enumerable.Range(row * Dimensions, Dimensions)
            .Select(i => IsBinary ? (Vectors[i] >= 0 ? Scale : -Scale) : (double)Vectors[i])];

        public byte[] Bits(int first, int count)
        {
            int width = (Dimensions + 7) / 8;
            byte[] bits = new byte[count * width];
            for (int row = 0; row < count; row++)
            {
                for (int i = 0; i < Dimensions; i++)
                {
                    if (Vectors[(first + row) * Dimensions + i] >= 0) bits[row * width + i / 8] |= (byte)(1 << i % 8);
                }
            }

            return bits;
        }

        public double Score(int query, int row, int width)
        {
            double[] x = Row(row)[..width], q = [.. Queries.Skip(query * Dimensions).Take(width).Select(v => (double)v)];
            double dot = q.Zip(x, (a, b) => a * b).Sum(), lengths = Math.Sqrt(q.Sum(a => a * a)) * Math.Sqrt(x.Sum(a => a * a));
            return Metric switch
            {
                Metric.L2 => -q.Zip(x, (a, b) => (a - b) * (a - b)).Sum(),
                Metric.Cosine => lengths == 0 ? 0 : width == Dimensions ? dot / Math.Sqrt(q.Sum(a => a * a)) : dot / lengths,
                _ => dot,
            };
        }

        public IEnumerable<long> Sorted(int query, int width) =>
            Enumerable.Range(0, Rows).Where(row => !Deleted.Contains(row)).Select(row => (Score(query, row, width), (long)row))
                .OrderByDescending(h => h.Item1).ThenBy(h => h.Item2).Select(h => h.Item2);

        /// <summary>Every place has its score, no row stands twice or behind a worse one, and none is missing but what ties in float32.</summary>
        public void Check(SearchResults results, Func<int, long, bool> isAllowed)
        {
            bool isExact = Metric != Metric.Cosine;
            for (int q = 0; q < results.Queries; q++)
            {
                long[] expected = [.. Sorted(q, Dimensions).Where(row => isAllowed(q, row)).Take(results.K)];
                ReadOnlySpan<long> rows = results.RowsOf(q);
                ReadOnlySpan<float> scores = results.ScoresOf(q);
                Assert.That(rows[expected.Length..].ToArray(), Is.All.EqualTo(-1L));
                Assert.That(scores[expected.Length..].ToArray(), Is.All.EqualTo(float.NegativeInfinity));
                if (isExact) Assert.That(rows[..expected.Length].ToArray(), Is.EqualTo(expected), $"query {q}");
                Assert.That(rows[..expected.Length].ToArray(), Is.Unique);
                for (int i = 0; i < expected.Length; i++)
                {
                    Assert.That(isAllowed(q, rows[i]) && !Deleted.Contains(rows[i]), $"row {rows[i]} must not be found");
                    double score = Score(q, (int)rows[i], Dimensions);
                    Assert.That(scores[i], isExact ? Is.EqualTo((float)score) : Is.EqualTo(score).Within(1e-6));
                    Assert.That(score, Is.EqualTo(Score(q, (int)expected[i], Dimensions)).Within(isExact ? 0 : 1e-6), $"place {i} of query {q}");
                }
            }
        }
    }
}
