using System.IO;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.Data;

namespace RetrievalEngine.Tests.Data;

[TestFixture]
internal sealed class SentencePairsTests
{
    [TestCase("{\"sentence1\":\"a, b\",\"sentence2\":\"c\",\"score\":2.5}\n\n{\"sentence1\":\"d\",\"sentence2\":\"e\",\"score\":-1}\n")]
    [TestCase("{\"text1\":\"a, b\",\"text2\":\"c\",\"label\":2.5}\n{\"text1\":\"d\",\"text2\":\"e\",\"label\":-1}")]
    [TestCase("genre\tfile\t2012\t1\t2.500\ta, b\tc\ngenre\tfile\t2012\t2\t-1\td\te\tfrom\tfrom\n")]
    [TestCase("2.5\ta, b\tc\n-1\td\te\n")]
    [TestCase("a, b\tc\t2.5\nd\te\t-1\n")]
    [TestCase("sentence2\tscore\tsentence1\nc\t2.5\ta, b\ne\t-1\td\n")]
    [TestCase("id,sentence1,sentence2,score\r\n1,\"a, b\",c,2.5\r\n2,d,\"e\",-1\r\n")]
    public void Read_EveryLayout_GivesTheSamePairs(string content)
    {
        using TempFolder folder = new();
        Assert.That(SentencePairs.Read(folder.Write("pairs", content)), Is.EqualTo(new[] { new SentencePair("a, b", "c", 2.5), new SentencePair("d", "e", -1) }));
    }

    [Test]
    public void Read_QuotesOfTheBenchmarkAndOfCsv_AreWhatTheyAre()
    {
        using TempFolder folder = new();
        Assert.That(SentencePairs.Read(folder.Write("tabs", "1\t\"He said\tno\"\n")).Single().First, Is.EqualTo("\"He said"));
        Assert.That(SentencePairs.Read(folder.Write("commas", "sentence1,sentence2,score\n\"say \"\"a\"\"\",b,1\n")).Single().First, Is.EqualTo("say \"a\""));
    }

    [TestCase("", "holds no pairs")]
    [TestCase("one column\n", "line 1")]
    [TestCase("1\ta\tb\nx\ta\tb\n", "line 2: score \"x\" in column 1 is not a number")]
    [TestCase("1\ta\tb\n1\ta\n", "line 2: 2 columns where 3 are needed")]
    [TestCase("{\"sentence1\":\"a\",\"score\":1}\n", "sentence2")]
    [TestCase("sentence1,sentence2,score\n\"a,b,1\n", "line 2: a quote is not closed")]
    [TestCase("1\ta\tb\nNaN\ta\tb\n", "line 2")]
    public void Read_BadFile_NamesTheLine(string content, string sentence)
    {
        using TempFolder folder = new();
        Assert.That(() => SentencePairs.Read(folder.Write("pairs", content)), Throws.InstanceOf<InputException>().With.Message.Contains(sentence));
        Assert.That(() => SentencePairs.Read(Path.Combine(folder.Path, "absent")), Throws.InstanceOf<InputException>());
    }

    [TestCase("{\"sentence1\":\"a, b\",\"sentence2\":\"c\",\"score\":2.5}\n{\"sentence1\":\"d\",\"sentence2\":\"e\",\"score\":-1}\n")]
    [TestCase("sentence1,sentence2,score\n\"a\"\"b\",c,2.5\nd,e,1\n")]
    [TestCase("2.5\ta, b\tc\n-1\td\te\n")]
    public void Read_Damaged_NeverThrowsAnythingElse(string content)
    {
        using TempFolder folder = new();
        Fuzz.Run(System.Text.Encoding.UTF8.GetBytes(content), bytes =>
        {
            File.WriteAllBytes(folder.File("pairs"), bytes);
            SentencePairs.Read(folder.File("pairs"));
        });
    }
}
