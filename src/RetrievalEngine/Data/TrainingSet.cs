using System;
using System.Collections;
using System.Collections.Generic;
using System.IO;

namespace RetrievalEngine.Data;

/// <summary>
/// Training data by row number, in file order. Texts stay in the files: a row is parsed when it is asked for, by any thread. Opening reads everything
/// once, so that a bad line is named before training begins.
/// </summary>
public abstract class TrainingSet : IReadOnlyList<TrainingRow>, IDisposable
{
    /// <summary>What the data turned out to be.</summary>
    public abstract TrainingFormat Format { get; }

    /// <summary>Number of rows.</summary>
    public abstract int Count { get; }

    /// <summary>SHA-256 over the contents of every file that rows come from, in hexadecimal: equal for equal data, wherever it lies.</summary>
    public abstract string ContentHash { get; }

    /// <summary>What was left out of the data, one sentence each, for the user.</summary>
    public abstract IReadOnlyList<string> Warnings { get; }

    /// <summary>Row <paramref name="index"/>.</summary>
    public abstract TrainingRow this[int index] { get; }

    /// <summary>
    /// Opens the file or BEIR folder <paramref name="path"/>. <paramref name="corpus"/> is the corpus (a file, or a folder that holds one) of data
    /// that names passages by id; for a BEIR folder it replaces the folder's own.
    /// </summary>
    /// <exception cref="InputException">A file is missing, a line is malformed or names a passage that is not there, or no row can be trained
    /// on.</exception>
    public static TrainingSet Open(
        string path, TrainingFormat format = TrainingFormat.Auto, string? corpus = null, IProgress<ProgressUpdate>? progress = null)
    {
        if (format == TrainingFormat.Auto && Directory.Exists(path)) format = TrainingFormat.Beir;
        return format == TrainingFormat.Beir
            ? CollectionTrainingSet.OpenFolder(path, corpus)
            : FileTrainingSet.OpenFile(path, format, corpus, progress);
    }

    /// <summary>Opens judged queries as training data: the relevant documents of each are its positives, and there are no negatives.</summary>
    /// <exception cref="InputException">A file is missing or malformed, or no query has a relevant document in the corpus.</exception>
    public static TrainingSet OpenJudged(string queries, string qrels, string corpus) =>
        CollectionTrainingSet.Open(new BeirFolder(corpus, Queries.Resolve(queries), qrels));

    /// <inheritdoc/>
    public IEnumerator<TrainingRow> GetEnumerator()
    {
        for (int row = 0; row < Count; row++) yield return this[row];
    }

    /// <inheritdoc/>
    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Closes the files.</summary>
    protected abstract void Dispose(bool disposing);
}
