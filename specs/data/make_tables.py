#!/usr/bin/env python3
"""Makes the bundled tables from scikit-learn's files: make_tables.py FOLDER (with iris.csv, breast_cancer.csv, wine_data.csv,
digits.csv.gz, diabetes_data_raw.csv.gz, diabetes_target.csv.gz, as Debian's python3-sklearn 1.2 ships them)."""
import csv, gzip, os, sys

source, here = sys.argv[1], os.path.dirname(os.path.abspath(__file__))
NAMES = {
    "iris": "sepal_length sepal_width petal_length petal_width species",
    "breast_cancer": " ".join(f"{kind}_{what}" for kind in ("mean", "error", "worst") for what in
                              "radius texture perimeter area smoothness compactness concavity concave_points symmetry fractal_dimension".split()) + " diagnosis",
    "wine_data": "alcohol malic_acid ash alcalinity_of_ash magnesium total_phenols flavanoids nonflavanoid_phenols proanthocyanins color_intensity hue od280_od315 proline cultivar",
}
for name, header in NAMES.items():
    rows = list(csv.reader(open(os.path.join(source, name + ".csv"))))
    classes = rows[0][2:]          # the counts row ends with the classes' names
    with open(os.path.join(here, name.replace("_data", "") + ".csv"), "w", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(header.split())
        out.writerows(row[:-1] + [classes[int(float(row[-1]))]] for row in rows[1:] if row)
digits = gzip.open(os.path.join(source, "digits.csv.gz"), "rt").read().split()
text = ",".join([f"p{i}" for i in range(64)] + ["digit"]) + "\n" + "".join(",".join(str(int(float(v))) for v in line.split(",")) + "\n" for line in digits)
with open(os.path.join(here, "digits.csv.gz"), "wb") as f:
    with gzip.GzipFile(filename="", mode="wb", fileobj=f, mtime=0) as z:
        z.write(text.encode())
features = [line.split() for line in gzip.open(os.path.join(source, "diabetes_data_raw.csv.gz"), "rt")]
target = [float(line) for line in gzip.open(os.path.join(source, "diabetes_target.csv.gz"), "rt")]
with open(os.path.join(here, "diabetes.csv"), "w", newline="") as f:
    out = csv.writer(f, lineterminator="\n")
    out.writerow("age sex bmi bp s1 s2 s3 s4 s5 s6 progression".split())
    out.writerows(row + [f"{y:g}"] for row, y in zip(features, target))
