using System;
using System.IO;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.Indexing;
using RetrievalEngine.Search;

namespace RetrievalEngine.Tests.Indexing;

internal sealed class VectorFileTests
{
    // The bytes that numpy.save writes of [[1.5, -2], [0.25, 8]] as float16.
    private const string NumPyFloat16 =
        "k05VTVBZAQB2AHsnZGVzY3InOiAnPGYyJywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsIDIpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAPgDAADQASA==";

    private TempFolder _temp = null!;

    [SetUp]
    public void SetUp() => _temp = new TempFolder();

    [TearDown]
    public void TearDown() => _temp.Dispose();

    [TestCase("a.npy", null)]
    [TestCase("a.fvecs", null)]
    [TestCase("a.faiss", Metric.L2)]
    [TestCase("a.index", Metric.InnerProduct)]
    public void WriteThenOpen_GivesTheSame(string name, Metric? metric)
    {
        string[] ids = IndexRows.Ids(0, 7);
        VectorFileWriter.Write(IndexRows.Source(ids), metric ?? Metric.Cosine, _temp.File(name), _temp.File("ids"));
        using VectorFile file = VectorFile.Open(_temp.File(name));
        VectorSource source = file.AsSource(_temp.File("ids"));
        Assert.That((file.Rows, file.Dimensions, file.Metric), Is.EqualTo((7L, IndexRows.Dimensions, metric)));
        Assert.That(Enumerable.Range(0, 7).Select(row => source.Id(row)), Is.EqualTo(ids));
        float[] rows = new float[3 * IndexRows.Dimensions];
        file.Read(2, rows);
        Assert.That(rows, Is.EqualTo(ids[2..5].SelectMany(IndexRows.Of)));
        Assert.That(file.AsSource(null, 10).Id(3), Is.EqualTo("13"));
    }

    [Test]
    public void NumPysOwnFile_IsRead()
    {
        File.WriteAllBytes(_temp.File("a.npy"), Convert.FromBase64String(NumPyFloat16));
        using VectorFile file = VectorFile.Open(_temp.File("a.npy"));
        float[] rows = new float[4];
        file.Read(0, rows);
        Assert.That(rows, Is.EqualTo(new[] { 1.5f, -2, 0.25f, 8 }));
    }

    [TestCase("a.npy")]
    [TestCase("a.fvecs")]
    [TestCase("a.faiss")]
    public void DamagedFile_IsRefusedInASentence(string name)
    {
        VectorFileWriter.Write(IndexRows.Source(IndexRows.Ids(0, 3)), Metric.L2, _temp.File(name), null);
        Fuzz.Run(File.ReadAllBytes(_temp.File(name)), bytes =>
        {
            File.WriteAllBytes(_temp.File(name), bytes);
            using VectorFile file = VectorFile.Open(_temp.File(name));
            float[] row = new float[file.Dimensions];
            for (long i = 0; i < Math.Min(file.Rows, 100); i++) file.Read(i, row);
        }, rounds: 1500);
    }

    [Test]
    public void WrongNamesAndIds_AreNamed()
    {
        VectorSource source = IndexRows.Source(["a\nb"]);
        Assert.That(() => VectorFileWriter.Write(source, Metric.L2, _temp.File("a.txt"), null), Throws.TypeOf<InputException>().With.Message.Contains("must end in .npy"));
        Assert.That(() => VectorFileWriter.Write(source, Metric.L2, _temp.File("a.npy"), _temp.File("ids")), Throws.TypeOf<InputException>().With.Message.Contains("line break"));
        using VectorFile file = VectorFile.Open(_temp.File("a.npy"));
        Assert.That(() => file.AsSource(_temp.Write("two", "a\nb\n")), Throws.TypeOf<InputException>().With.Message.Contains("2 ids but"));
        Assert.That(() => VectorFile.Open(_temp.File("two")), Throws.TypeOf<InputException>().With.Message.Contains("no file of vectors"));
    }
}
