using System;
using System.Collections.Generic;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.Cli.Demo;

namespace RetrievalEngine.Cli.Tests.Demo;

internal sealed class DemoCollectionTests
{
    [Test]
    public void Build_OverloadsAreOneDocument()
    {
        DemoCollection collection = DemoCollection.Build(
        [
            Type("N.Box"),
            Member('M', "N.Box.PutInside", "Puts one thing into the box. It stays there.", "(Int32 thing)", ("thing", "The thing.")),
            Member('M', "N.Box.PutInside``1", "Puts many things into the box.", "(T[] things)", ("things", "The things.")),
        ]);
        DemoDocument put = collection.Documents.Single(d => d.Id == "M:N.Box.PutInside");
        Assert.Multiple(() =>
        {
            Assert.That(put.Title, Is.EqualTo("Box.PutInside method"));
            Assert.That(put.Text, Is.EqualTo("box put inside method of N.Box. PutInside(Int32 thing) PutInside(T[] things) thing: The thing. things: The things."));
            Assert.That(put.Query, Is.EqualTo("Puts one thing into the box."));
            Assert.That(collection.Documents.Single(d => d.Id == "T:N.Box").Text, Does.EndWith("Members: put inside."));
        });
    }

    [Test]
    public void Build_QueriesThatSeveralMembersShare_AreDroppedAndCounted()
    {
        DemoCollection collection = DemoCollection.Build(
        [
            Member('M', "N.A.One", "Returns the number of elements."),
            Member('M', "N.B.One", "Returns the number of *elements*"),
            Member('M', "N.B.Two", "Returns the number of leaves."),
            Member('M', "N.B.Three", "Too short."),
            Member('P', "N.B.Four", "Tells how old it is.", returns: "Tells how old it is: in years."),
            Member('M', "N.B.N#I#Five", "Explicit interface members are left out."),
            Member('M', "System.Runtime.Intrinsics.X86.Avx.Add", "Machine instructions are left out."),
        ]);
        Assert.Multiple(() =>
        {
            Assert.That(collection.Documents.Where(d => d.Query is not null).Select(d => d.Id), Is.EqualTo(new[] { "M:N.B.Two" }));
            Assert.That(collection.Counts, Is.EqualTo(new DemoCounts { Members = 7, NotReadable = 2, Documents = 5, NoSummary = 1, InOwnText = 1, Shared = 2, Queries = 1 }));
        });
    }

    [Test]
    public void Build_MembersGoWhereTheirOutermostTypeGoes()
    {
        List<DocumentedMember> members = [];
        for (int i = 0; i < 40; i++)
        {
            string type = $"N.Type{(char)('A' + i % 26)}{(char)('a' + i / 26)}";
            members.AddRange([Type(type), Type($"{type}.Inner"), Member('M', $"{type}.Inner.Run", "Runs."), Member('P', $"{type}.Name", "Names."), Type($"{type}128"), Type($"{type}256`1")]);
        }

        DemoCollection collection = DemoCollection.Build(members);
        Assert.That(collection.Documents.GroupBy(d => d.Id[2..].Split('.')[1].Split('`')[0].TrimEnd('1', '2', '5', '6', '8')).Select(g => g.Select(d => d.Split).Distinct().Count()), Is.All.EqualTo(1));
        Assert.That(collection.Documents.Select(d => d.Split).Distinct().Count(), Is.EqualTo(4), "every split has some type");
        members.Reverse();
        Assert.That(DemoCollection.Build(members).Documents.Select(d => (d.Id, d.Text, d.Split)), Is.EqualTo(collection.Documents.Select(d => (d.Id, d.Text, d.Split))));
    }

    [Test]
    public void Fraction_IsFixedForEver() => Assert.That(DemoCollection.Fraction("System.String"), Is.EqualTo(0.613184225260166).Within(1e-15));

    [TestCase("StringBuilder.AppendFormat", "string builder append format")]
    [TestCase("XMLReader", "xml reader")]
    [TestCase("Decimal.op_Addition", "decimal operator addition")]
    [TestCase("TLS_RSA", "tls rsa")]
    public void Words_SplitsNames(string name, string expected) => Assert.That(DemoCollection.Words(name), Is.EqualTo(expected));

    private static DocumentedMember Type(string path) => Member('T', path, "");

    private static DocumentedMember Member(char kind, string path, string summary, string signature = "", (string, string)? parameter = null, string returns = "") =>
        new(kind, path, signature, summary, parameter is { } p ? [p] : [], returns, "");
}
