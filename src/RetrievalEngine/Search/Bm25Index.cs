using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Threading;

namespace RetrievalEngine.Search;

/// <summary>
/// An inverted index in memory with BM25 scores (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009): a query term of document
/// frequency df adds <c>ln(1 + (N - df + 0.5) / (df + 0.5)) · tf / (tf + k1 (1 - b + b · length / average length))</c> for each time that it is in
/// the query. Unchangeable once built, so that many threads may search it.
/// </summary>
public sealed class Bm25Index
{
    private readonly Dictionary<string, int> _terms;
    private readonly int[] _starts;
    private readonly Posting[] _postings;
    private readonly double[] _lengthParts;
    private readonly string[] _ids;
    private readonly ConcurrentBag<double[]> _spareScores = [];

    private Bm25Index(Dictionary<string, int> terms, int[] starts, Posting[] postings, double[] lengthParts, string[] ids)
    {
        _terms = terms;
        _starts = starts;
        _postings = postings;
        _lengthParts = lengthParts;
        _ids = ids;
    }

    /// <summary>Number of documents.</summary>
    public int Count => _ids.Length;

    /// <summary>Ids by row.</summary>
    public IReadOnlyList<string> Ids => _ids;

    /// <summary>Indexes <paramref name="documents"/> in the order given, which numbers their rows.</summary>
    public static Bm25Index Build(IEnumerable<(string Id, string Text)> documents, Bm25Options options, CancellationToken cancellation = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(options.K1);
        ArgumentOutOfRangeException.ThrowIfNegative(options.B);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.B, 1);
        Dictionary<string, int> terms = [];
        Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> lookup = terms.GetAlternateLookup<ReadOnlySpan<char>>();
        List<string> ids = [];
        List<int> lengths = [];
        List<Occurrence> occurrences = [];
        List<int> documentFrequency = [];
        Dictionary<int, int> frequencies = [];
        foreach ((string id, string text) in documents)
        {
            cancellation.ThrowIfCancellationRequested();
            frequencies.Clear();
            int length = 0;
            Bm25Tokenizer tokenizer = new(text);
            while (tokenizer.TryNext(out ReadOnlySpan<char> term))
            {
                if (!lookup.TryGetValue(term, out int number))
                {
                    number = terms.Count;
                    lookup.TryAdd(term, number);
                    documentFrequency.Add(0);
                }

                CollectionsMarshal.GetValueRefOrAddDefault(frequencies, number, out _)++;
                length++;
            }

            foreach ((int term, int frequency) in frequencies)
            {
                occurrences.Add(new Occurrence(term, ids.Count, frequency));
                documentFrequency[term]++;
            }

            ids.Add(id);
            lengths.Add(length);
        }

        int[] starts = new int[terms.Count + 1];
        for (int term = 0; term < terms.Count; term++) starts[term + 1] = starts[term] + documentFrequency[term];
        Posting[] postings = new Posting[occurrences.Count];
        int[] next = starts[..^1];
        foreach (Occurrence o in occurrences) postings[next[o.Term]++] = new Posting(o.Row, o.Frequency);
        return new Bm25Index(terms, starts, postings, LengthParts(lengths, options), [.. ids]);
    }

    /// <summary>
    /// The best <paramref name="depth"/> documents that share a term with <paramref name="query"/>, best first; of equal scores the lower row comes
    /// first.
    /// </summary>
    public SearchHit[] Search(string query, int depth)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(depth, 0);
        double[] scores = _spareScores.TryTake(out double[]? spare) ? spare : new double[Count];
        List<int> touched = [];
        foreach ((int term, int count) in QueryTerms(query))
        {
            ReadOnlySpan<Posting> postings = Postings(term);
            double weight = count * Idf(postings.Length);
            foreach (Posting p in postings)
            {
                if (scores[p.Row] == 0) touched.Add(p.Row);
                scores[p.Row] += weight * p.Frequency / (p.Frequency + _lengthParts[p.Row]);
            }
        }

        PriorityQueue<SearchHit, SearchHit> best = new(WorstFirst.Instance);
        foreach (int row in touched)
        {
            SearchHit hit = new(row, scores[row]);
            scores[row] = 0;
            if (best.Count < depth) best.Enqueue(hit, hit);
            else if (depth > 0) best.EnqueueDequeue(hit, hit);
        }

        _spareScores.Add(scores);
        SearchHit[] hits = new SearchHit[best.Count];
        for (int i = hits.Length - 1; i >= 0; i--) hits[i] = best.Dequeue();
        return hits;
    }

    /// <summary>The score of the document <paramref name="row"/>, as <see cref="Search"/> gives it; 0 where it shares no term.</summary>
    public double Score(string query, int row)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)row, (uint)Count);
        double score = 0;
        foreach ((int term, int count) in QueryTerms(query))
        {
            ReadOnlySpan<Posting> postings = Postings(term);
            int at = postings.BinarySearch(new Posting(row, 0));
            if (at >= 0) score += count * Idf(postings.Length) * postings[at].Frequency / (postings[at].Frequency + _lengthParts[row]);
        }

        return score;
    }

    private static double[] LengthParts(List<int> lengths, Bm25Options options)
    {
        double total = 0;
        foreach (int length in lengths) total += length;
        double average = total / lengths.Count;
        return [.. lengths.ConvertAll(length => options.K1 * (1 - options.B + (options.B * length / average)))];
    }

    /// <summary>The query's terms that the index knows, in the order of their first occurrence, with how often they are in the query.</summary>
    private Dictionary<int, int> QueryTerms(string query)
    {
        Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> lookup = _terms.GetAlternateLookup<ReadOnlySpan<char>>();
        Dictionary<int, int> counts = [];
        Bm25Tokenizer tokenizer = new(query);
        while (tokenizer.TryNext(out ReadOnlySpan<char> text))
        {
            if (lookup.TryGetValue(text, out int term)) CollectionsMarshal.GetValueRefOrAddDefault(counts, term, out _)++;
        }

        return counts;
    }

    private ReadOnlySpan<Posting> Postings(int term) => _postings.AsSpan(_starts[term].._starts[term + 1]);

    private double Idf(int documentFrequency) => Math.Log(1 + ((Count - documentFrequency + 0.5) / (documentFrequency + 0.5)));

    private readonly record struct Occurrence(int Term, int Row, int Frequency);

    private readonly record struct Posting(int Row, int Frequency) : IComparable<Posting>
    {
        public int CompareTo(Posting other) => Row.CompareTo(other.Row);
    }

    private sealed class WorstFirst : IComparer<SearchHit>
    {
        public static readonly WorstFirst Instance = new();

        public int Compare(SearchHit x, SearchHit y) => x.Score == y.Score ? y.Row.CompareTo(x.Row) : x.Score.CompareTo(y.Score);
    }
}
