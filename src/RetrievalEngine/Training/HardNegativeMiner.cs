using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using RetrievalEngine.Compute;
using RetrievalEngine.Data;
using RetrievalEngine.Search;

namespace RetrievalEngine.Training;

/// <summary>
/// Mines hard negatives: documents that a search ranks high for a query and that are not relevant. Positives are left out by id and, as copies under
/// other ids, by title and text. The same inputs give the same negatives, whatever the number of threads.
/// </summary>
public sealed class HardNegativeMiner
{
    private const int BlockSize = 256;

    private readonly IReadOnlyList<Document> _corpus;
    private readonly IDocumentRanker _ranker;
    private readonly HardNegativeOptions _options;
    private readonly Dictionary<string, int> _rows = [];

    /// <summary>A miner over <paramref name="corpus"/>, whose order is that of <paramref name="ranker"/>'s rows.</summary>
    /// <exception cref="InputException">An option is out of its range.</exception>
    public HardNegativeMiner(IReadOnlyList<Document> corpus, IDocumentRanker ranker, HardNegativeOptions options)
    {
        options.Check();
        _corpus = corpus;
        _ranker = ranker;
        _options = options;
        for (int row = 0; row < corpus.Count; row++) _rows.Add(corpus[row].Id, row);
    }

    /// <summary>The document <paramref name="id"/> of the corpus, if it is there.</summary>
    public Document? Find(string id) => _rows.TryGetValue(id, out int row) ? _corpus[row] : null;

    /// <summary>
    /// Mines negatives for <paramref name="rows"/> and writes the rows that got any to the file <paramref name="path"/>, which appears whole
    /// or not at all.
    /// </summary>
    public MiningSummary MineToFile(
        IReadOnlyList<TrainingRow> rows,
        string path,
        int threads,
        IProgress<ProgressUpdate>? progress = null,
        CancellationToken cancellation = default)
    {
        MiningSummary summary = default;
        TrainingRows.Write(path, MineAll(rows, threads, progress, cancellation)
            .Where(mined =>
            {
                summary = summary.Add(mined.Mined, _options.NumNegatives);
                return mined.Mined.Negatives.Count > 0;
            })
            .Select(static mined => mined.Row));
        return summary;
    }

    /// <summary>
    /// Mines negatives for each of <paramref name="rows"/> (their own negatives are not looked at), on <paramref name="threads"/> threads, in the
    /// order given.
    /// </summary>
    public IEnumerable<(TrainingRow Row, MinedNegatives Mined)> MineAll(
        IReadOnlyList<TrainingRow> rows, int threads, IProgress<ProgressUpdate>? progress = null, CancellationToken cancellation = default)
    {
        ParallelOptions parallel = new() { MaxDegreeOfParallelism = threads, CancellationToken = cancellation };
        MinedNegatives[] mined = new MinedNegatives[BlockSize];
        for (int start = 0; start < rows.Count; start += BlockSize)
        {
            int first = start, count = Math.Min(BlockSize, rows.Count - start);
            Parallel.For(0, count, parallel, i => mined[i] = Mine(rows[first + i]));
            for (int i = 0; i < count; i++) yield return (rows[first + i] with { Negatives = mined[i].Negatives }, mined[i]);
            progress?.Report(new ProgressUpdate("mine negatives", start + count, rows.Count, "queries"));
        }
    }

    /// <summary>
    /// The negatives of one query. With a margin, a query none of whose <paramref name="positives"/> is in the corpus has no score to keep a distance
    /// from, and so no negatives.
    /// </summary>
    public MinedNegatives Mine(Query query, IReadOnlyList<Document> positives)
    {
        HashSet<string> positiveIds = [.. positives.Select(static p => p.Id)];
        HashSet<string> contents = [.. positives.Select(Content)];
        (double lowest, double highest) = ScoreLimits(query, positives);
        List<int> candidates = [];
        int positivesFound = 0, duplicates = 0, outside = 0;
        foreach (SearchHit hit in _ranker.Rank(query, _options.RangeMax).Skip(_options.RangeMin))
        {
            Document document = _corpus[hit.Row];
            if (positiveIds.Contains(document.Id)) positivesFound++;
            else if (!(hit.Score >= lowest && hit.Score <= highest)) outside++;
            else if (!contents.Add(Content(document))) duplicates++;
            else candidates.Add(hit.Row);
            if (!_options.Random && candidates.Count == _options.NumNegatives) break;
        }

        if (candidates.Count > _options.NumNegatives) candidates = Draw(query.Id, candidates);
        return new MinedNegatives([.. candidates.Select(row => _corpus[row])], positivesFound, duplicates, outside);
    }

    private MinedNegatives Mine(TrainingRow row) => Mine(new Query(row.QueryId, row.Query, row.Prompt), row.Positives);

    private static string Content(Document document) => $"{document.Title} {document.Text}".Trim();

    private (double Lowest, double Highest) ScoreLimits(Query query, IReadOnlyList<Document> positives)
    {
        double lowest = _options.MinScore ?? double.NegativeInfinity, highest = _options.MaxScore ?? double.PositiveInfinity;
        if (_options.RelativeMargin is null && _options.AbsoluteMargin is null) return (lowest, highest);
        double positive = double.PositiveInfinity;
        foreach (Document document in positives)
        {
            if (_rows.TryGetValue(document.Id, out int row)) positive = Math.Min(positive, _ranker.Score(query, row));
        }

        if (double.IsPositiveInfinity(positive)) return (lowest, double.NegativeInfinity);
        double margin = Math.Max((_options.RelativeMargin ?? 0) * Math.Abs(positive), _options.AbsoluteMargin ?? 0);
        return (lowest, Math.Min(highest, positive - margin));
    }

    /// <summary>As many candidates as wanted, drawn by hashes of seed, query and row; in the order of their ranks.</summary>
    private List<int> Draw(string queryId, List<int> candidates)
    {
        ulong key = _options.Seed;
        foreach (char c in queryId) key = Dropout.Mix(key ^ c);
        HashSet<int> drawn = [.. candidates.OrderBy(row => Dropout.Mix(key ^ (uint)row)).Take(_options.NumNegatives)];
        return candidates.FindAll(drawn.Contains);
    }
}
