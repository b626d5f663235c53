using System.IO;
using System.Linq;
using System.Text.Json;
using NUnit.Framework;
using RetrievalEngine.Cli.Demo;

namespace RetrievalEngine.Cli.Tests.Demo;

internal sealed class DemoFilesTests
{
    [Test]
    public void WriteSplit_WritesCorpusQueriesAndJudgements()
    {
        DemoCollection collection = DemoCollection.Build(Enumerable.Range(0, 200).Select(i =>
            new DocumentedMember('M', $"N.T{(char)('A' + i % 26)}{(char)('a' + i / 26)}.Run", "()", $"Runs the {i}th thing quickly.", [], "", "")));
        string folder = Path.Combine(TestContext.CurrentContext.WorkDirectory, "demo-split");
        (int documents, int queries) = DemoFiles.WriteSplit(folder, collection, DemoSplit.Test, mostQueries: 5);

        string[] corpus = File.ReadAllLines(Path.Combine(folder, DemoFiles.Corpus)), asked = File.ReadAllLines(Path.Combine(folder, DemoFiles.Queries));
        string[] ids = [.. corpus.Select(l => JsonDocument.Parse(l).RootElement.GetProperty("_id").GetString()!)];
        Assert.Multiple(() =>
        {
            Assert.That(ids, Is.EqualTo(collection.Documents.Where(d => d.Split == DemoSplit.Test).Select(d => d.Id)));
            Assert.That((documents, queries), Is.EqualTo((ids.Length, 5)));
            Assert.That(asked, Has.Length.EqualTo(5));
            Assert.That(File.ReadAllLines(Path.Combine(folder, DemoFiles.Qrels(DemoSplit.Test))).Select(l => l.Split(' ')[2]), Is.SubsetOf(ids));
            Assert.That(corpus[0], Does.Not.Contain("quickly"), "the summary is held out");
        });
    }
}
